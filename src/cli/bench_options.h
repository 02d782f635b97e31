// What one run of the load generator is asked to do. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cli/args.h"
#include "cli/console.h"

namespace hamster::cli::bench {

enum class Mode : std::uint8_t { kPut, kGet, kStat, kMixed, kList, kDelete };

struct Endpoint {
    bool tls = false;
    std::string host;  // a name or an address, without brackets
    std::uint16_t port = 0;
    [[nodiscard]] std::string host_header() const;  // the port only where it is not the default
};

struct Options {
    Mode mode = Mode::kMixed;
    Endpoint endpoint;
    std::string access_key_id;  // empty: requests are not signed
    std::string secret;
    std::string region;
    std::string bucket;
    std::string prefix;
    std::string path;  // get only: this path of any web server, instead of objects
    std::uint64_t size = 0;
    std::size_t clients = 0;
    std::size_t threads = 0;
    std::chrono::microseconds duration{};
    std::optional<std::uint64_t> requests;  // ends the run instead of the duration
    std::uint64_t objects = 0;              // prepared; for put: keys to write over, 0: all new
    std::uint64_t page = 1000;              // keys per listing
    int server_pid = 0;
    bool keep = false;
    bool reuse = false;
    bool verify = false;
    bool unsigned_payload = false;
    bool insecure = false;
    bool json = false;
};

std::string_view name_of(Mode mode);
Result<Mode> parse_mode(std::string_view text);
// 512, 4KiB, 64MiB, 1GiB; also KB, MB, GB and the bare letters, all of them binary.
Result<std::uint64_t> parse_size(std::string_view text);
// 500ms, 10s, 5m, 1h; a bare number is seconds.
Result<std::chrono::microseconds> parse_duration(std::string_view text);
// http://host[:port], https://host[:port], IPv6 in brackets.
Result<Endpoint> parse_endpoint(std::string_view text);
// The largest unit in which `bytes` is short: "4 KiB".
std::string size_text(std::uint64_t bytes);

Result<Options> options_of(const Args& args, const Console& console);

}  // namespace hamster::cli::bench
