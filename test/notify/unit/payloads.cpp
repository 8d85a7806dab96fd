#include "payloads.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace raxx::notify {

std::string file_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

json payload(const std::string& name) { return json::parse(file_text(kNotifyDir + "/payloads/" + name + ".json")); }

std::vector<std::string> payload_names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kNotifyDir + "/payloads"))
        names.push_back(entry.path().stem().string());
    std::ranges::sort(names);
    return names;
}

void expect_golden(const std::string& file, const std::string& text) {
    const std::string path = kNotifyDir + "/golden/" + file;
    if (std::getenv("RAXX_WRITE_GOLDEN") != nullptr) {
        std::ofstream(path, std::ios::binary) << text;
        return;
    }
    EXPECT_EQ(text, file_text(path)) << path;
}

}  // namespace raxx::notify
