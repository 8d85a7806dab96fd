// The JSON text that describes a chain, as parse_chain_description() reads it. It comes from SQL, so that anybody
// may have written it: its size, depth and numbers are bounded, and nothing in it is skipped or guessed.
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/chain_reading.h"
#include "core/hex.h"

namespace raxx {
namespace {

using nlohmann::json;

constexpr size_t kMostText = size_t{16} << 20;
constexpr size_t kMostEpochs = 10'000;
constexpr size_t kMostColumns = 1'664;  // as many as a row can have in Postgres
constexpr size_t kLongestName = 255;
constexpr int kDepth = 5;  // the whole, its epochs, an epoch, its columns, a column

[[noreturn]] void refuse(std::string detail) {
    throw Failure{
        sqlstate::kInvalidParameter, "the description of the chain is not valid", std::move(detail),
        R"(It is {"chain": UUID, "epochs": [{"from": 0, "key": ID, "columns": [{"name": .., "kind": .., "at": 0}]}]}.)"};
}

// Builds the value, but refuses what is nested too deep, and keys that an object has twice.
json parse(std::string_view text) {
    std::vector<std::set<std::string>> keys;
    const auto look = [&keys](int depth, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
            if (depth >= kDepth) refuse("It is nested more than " + std::to_string(kDepth) + " deep.");
            if (event == json::parse_event_t::object_start) keys.emplace_back();
        } else if (event == json::parse_event_t::object_end) {
            keys.pop_back();
        } else if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
            refuse("An object has the same key twice.");
        }
        return true;
    };
    if (text.size() > kMostText) refuse("It is longer than 16 MB.");
    try {
        return json::parse(text, look);
    } catch (const json::parse_error& error) {
        refuse("It is not JSON at byte " + std::to_string(error.byte) + ".");
    } catch (const json::exception&) {
        refuse("It holds a number that is out of range.");
    }
}

// The members of an object that has these and no others. what: how errors call it.
std::vector<const json*> members(const json& object, std::initializer_list<const char*> names,
                                 const std::string& what) {
    if (!object.is_object()) refuse(what + " is not an object.");
    std::vector<const json*> values;
    for (const char* name : names) {
        const auto found = object.find(name);
        if (found == object.end()) refuse(what + " has no \"" + name + "\".");
        values.push_back(&*found);
    }
    if (object.size() != names.size()) refuse(what + " has a key that is not known.");
    return values;
}

// Between 1 and kLongestName bytes, without a zero.
const std::string& text_of(const json& value, const std::string& what) {
    if (!value.is_string()) refuse(what + " is not a string.");
    const auto& text = value.get_ref<const std::string&>();
    if (text.empty() || text.size() > kLongestName) refuse(what + " is empty or longer than 255 bytes.");
    if (text.find('\0') != std::string::npos) refuse(what + " has a zero in it.");
    return text;
}

// Empty where nobody knows the key: then only the links of the epoch can be verified.
std::string key_of(const json& value, const std::string& what) {
    if (value.is_string() && value.get_ref<const std::string&>().empty()) return {};
    const std::string& key = text_of(value, what);
    if (!is_key_id(key)) refuse(what + " is not a key id.");
    return key;
}

int64_t number_of(const json& value, int64_t greatest, const std::string& what) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(greatest))
        refuse(what + " is not a whole number from 0 to " + std::to_string(greatest) + ".");
    return value.get<int64_t>();
}

const json::array_t* array_of(const json& value, size_t most, const std::string& what) {
    if (!value.is_array()) refuse(what + " is not an array.");
    const auto& array = value.get_ref<const json::array_t&>();
    if (array.size() > most) refuse(what + " has more than " + std::to_string(most) + " elements.");
    return &array;
}

void set_chain(unsigned char chain[kChainIdSize], const json& value) {
    if (!value.is_string() || !parse_uuid(value.get_ref<const std::string&>(), chain))
        refuse("The chain is not a UUID.");
}

std::vector<SealedColumn> columns_of(const json& value, const std::string& epoch) {
    std::vector<SealedColumn> columns;
    std::set<std::string> names;
    for (const json& element : *array_of(value, kMostColumns, "\"columns\" of " + epoch)) {
        const std::string what = "Column " + std::to_string(columns.size() + 1) + " of " + epoch;
        const auto fields = members(element, {"name", "kind", "at"}, what);
        columns.push_back(
            {text_of(*fields[0], "The name of c" + what.substr(1)),
             text_of(*fields[1], "The kind of c" + what.substr(1)),
             static_cast<uint32_t>(number_of(*fields[2], kMostColumns - 1, "\"at\" of c" + what.substr(1)))});
        if (!names.insert(columns.back().name).second) refuse(what + " has the name of an earlier one.");
    }
    return columns;
}

}  // namespace

ChainDescription parse_chain_description(std::string_view text) {
    const json whole = parse(text);
    const auto parts = members(whole, {"chain", "epochs"}, "The whole");
    ChainDescription description = {};
    set_chain(description.chain, *parts[0]);
    for (const json& element : *array_of(*parts[1], kMostEpochs, "\"epochs\"")) {
        std::vector<Epoch>& epochs = description.epochs;
        const std::string what = "epoch " + std::to_string(epochs.size() + 1);
        const auto fields = members(element, {"from", "key", "columns"}, "E" + what.substr(1));
        const int64_t from = number_of(*fields[0], INT64_MAX, "\"from\" of " + what);
        if (epochs.empty() ? from != 0 : from <= epochs.back().from)
            refuse("Epochs ascend, from 0 on; e" + what.substr(1) + " does not.");
        epochs.push_back({from, key_of(*fields[1], "The key of " + what), columns_of(*fields[2], what)});
    }
    if (description.epochs.empty()) refuse("It has no epoch.");
    return description;
}

}  // namespace raxx
