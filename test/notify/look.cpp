// For looking at a mail: PAYLOAD.json OUT.html writes it with its pictures in it, as a mail program shows it.
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "notify/render/render.h"

namespace {

std::string base64(const std::string& bytes) {
    constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string result;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        unsigned group = 0;
        for (size_t j = 0; j < 3; ++j)
            group = group << 8U | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (unsigned j = 0; j < 4; ++j)
            result += i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63U];
    }
    return result;
}

void write(const char* from, const char* to) {
    std::ifstream file(from, std::ios::binary);
    const raxx::notify::Mail mail = raxx::notify::mail(raxx::notify::json::parse(file), false);
    std::string html = mail.html;
    for (const raxx::notify::Picture& picture : mail.pictures) {
        const std::string address = "cid:" + picture.content_id;
        html.replace(html.find(address), address.size(), "data:image/png;base64," + base64(picture.png));
        std::cout << picture.content_id << ": " << picture.png.size() << " bytes\n";
    }
    std::cout << "html: " << mail.html.size() << " bytes\n\nSubject: " << mail.subject << "\n\n" << mail.text;
    std::ofstream(to, std::ios::binary) << html;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: notify_look PAYLOAD.json OUT.html\n";
        return 2;
    }
    try {
        write(argv[1], argv[2]);
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
    return 0;
}
