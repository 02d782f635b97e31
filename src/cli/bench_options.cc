#include "cli/bench_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "base/encoding.h"

namespace hamster::cli::bench {

namespace {

constexpr std::array<std::pair<std::string_view, Mode>, 6> kModes{{{"put", Mode::kPut},
                                                                   {"get", Mode::kGet},
                                                                   {"stat", Mode::kStat},
                                                                   {"mixed", Mode::kMixed},
                                                                   {"list", Mode::kList},
                                                                   {"delete", Mode::kDelete}}};

constexpr std::uint64_t kMaxSize = 5ULL << 30;  // of one PUT in S3, bytes
constexpr std::size_t kMaxClients = 20'000;     // connections that one address pair can carry
constexpr std::uint64_t kMaxObjects = 1'000'000'000;
constexpr std::uint64_t kPrepareBytes = 1ULL << 30;  // of objects made unless told otherwise

// The number at the start of `text`, and what follows it.
std::optional<std::pair<std::uint64_t, std::string_view>> leading_number(std::string_view text) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = base::parse_u64(text.substr(0, end));
    if (!number) return std::nullopt;
    return std::pair{*number, text.substr(end)};
}

Result<std::uint64_t> number_of(const Args& args, std::string_view flag, std::uint64_t least,
                                std::uint64_t most) {
    const std::string text = args.at(flag);
    const auto number = base::parse_u64(text);
    if (!number || *number < least || *number > most) {
        return fail(Code::kInvalid, fmt::format("-{} takes a number from {} to {}, not `{}`", flag,
                                                least, most, text));
    }
    return *number;
}

std::string from_environment(const Console& console, const char* own, const char* shared) {
    for (const char* name : {own, shared}) {
        const char* value = console.env(name);
        if (value != nullptr && *value != '\0') return value;
    }
    return {};
}

Result<void> read_credentials(const Args& args, const Console& console, Options* options) {
    options->access_key_id =
        args.value("access-key")
            .value_or(from_environment(console, "HAMSTER_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"));
    options->secret = args.value("secret-key")
                          .value_or(from_environment(console, "HAMSTER_SECRET_ACCESS_KEY",
                                                     "AWS_SECRET_ACCESS_KEY"));
    if (options->access_key_id.empty() != options->secret.empty()) {
        return fail(Code::kInvalid, "an access key and its secret belong together");
    }
    if (options->access_key_id.empty() && options->path.empty()) {
        return fail(Code::kInvalid,
                    "no credentials: export HAMSTER_ACCESS_KEY_ID and HAMSTER_SECRET_ACCESS_KEY "
                    "(or the AWS_ ones), or say -access-key and -secret-key");
    }
    return {};
}

std::uint64_t default_objects(const Options& options) {
    if (options.mode == Mode::kPut) return 0;
    if (options.mode == Mode::kList || options.mode == Mode::kDelete) return 10'000;
    const std::uint64_t fitting = kPrepareBytes / std::max<std::uint64_t>(options.size, 1);
    return std::clamp<std::uint64_t>(fitting, 1, 1000);
}

Result<void> read_load(const Args& args, Options* options) {
    TRY_ASSIGN(options->size, parse_size(args.at("size")));
    TRY_ASSIGN(options->clients, number_of(args, "clients", 1, kMaxClients));
    TRY_ASSIGN(options->duration, parse_duration(args.at("duration")));
    TRY_ASSIGN(options->page, number_of(args, "page", 1, 1000));
    options->objects = default_objects(*options);
    if (args.was_given("objects")) {
        TRY_ASSIGN(options->objects, number_of(args, "objects", 1, kMaxObjects));
    }
    if (args.was_given("requests")) {
        TRY_ASSIGN(options->requests, number_of(args, "requests", 1, UINT64_MAX));
    } else if (options->mode == Mode::kDelete) {
        options->requests = options->objects;
    }
    const std::size_t cores = std::max(1U, std::thread::hardware_concurrency());
    options->threads = std::min(cores, options->clients);
    if (args.was_given("threads")) {
        TRY_ASSIGN(options->threads, number_of(args, "threads", 1, 1024));
    }
    if (args.was_given("server-pid")) {
        TRY_ASSIGN(const std::uint64_t pid, number_of(args, "server-pid", 1, INT32_MAX));
        options->server_pid = static_cast<int>(pid);
    }
    return {};
}

Result<void> check(const Options& options) {
    if (!options.path.empty() && options.mode != Mode::kGet) {
        return fail(Code::kInvalid, "-path belongs to `hamster bench get`");
    }
    if (!options.path.empty() && (!options.path.starts_with('/') || options.verify)) {
        return fail(Code::kInvalid, "-path starts with / and knows nothing to -verify");
    }
    if (options.mode == Mode::kDelete && *options.requests > options.objects) {
        return fail(Code::kInvalid, "there are fewer -objects than -requests to delete them");
    }
    if (options.reuse && options.mode == Mode::kPut) {
        return fail(Code::kInvalid, "-reuse means objects to read; put makes its own");
    }
    return {};
}

}  // namespace

std::string Endpoint::host_header() const {
    const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
    return port == (tls ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

std::string_view name_of(Mode mode) {
    for (const auto& [name, value] : kModes) {
        if (value == mode) return name;
    }
    return "?";
}

Result<Mode> parse_mode(std::string_view text) {
    for (const auto& [name, value] : kModes) {
        if (name == text) return value;
    }
    return fail(Code::kInvalid,
                fmt::format("`{}` is none of put, get, stat, mixed, list and delete", text));
}

Result<std::uint64_t> parse_size(std::string_view text) {
    constexpr std::array<std::string_view, 10> kUnits = {"B",  "K",  "M",   "G",   "KB",
                                                         "MB", "GB", "KiB", "MiB", "GiB"};
    constexpr std::array<unsigned, 10> kShift = {0, 10, 20, 30, 10, 20, 30, 10, 20, 30};
    const auto number = leading_number(text);
    if (number) {
        unsigned shift = 0;
        bool known = number->second.empty();
        for (std::size_t i = 0; i < kUnits.size() && !known; ++i) {
            known = kUnits[i] == number->second;
            if (known) shift = kShift[i];
        }
        if (known && number->first <= (kMaxSize >> shift)) return number->first << shift;
    }
    return fail(Code::kInvalid,
                fmt::format("`{}` is no size: say 512, 4KiB, 64MiB or 1GiB, at most 5GiB", text));
}

Result<std::chrono::microseconds> parse_duration(std::string_view text) {
    using std::chrono::microseconds;
    constexpr std::array<std::pair<std::string_view, std::uint64_t>, 6> kUnits{
        {{"", 1'000'000},
         {"s", 1'000'000},
         {"ms", 1000},
         {"m", 60'000'000},
         {"h", 3'600'000'000},
         {"d", 86'400'000'000}}};
    constexpr std::uint64_t kLongest = 30ULL * 24 * 3600 * 1'000'000;
    const auto number = leading_number(text);
    for (const auto& [unit, us] : kUnits) {
        if (!number || number->second != unit || number->first == 0) continue;
        if (number->first <= kLongest / us) return microseconds(number->first * us);
    }
    return fail(Code::kInvalid,
                fmt::format("`{}` is no duration: say 500ms, 10s, 5m, 1h or 7d", text));
}

Result<Endpoint> parse_endpoint(std::string_view text) {
    const auto bad = [text] {
        return fail(Code::kInvalid,
                    fmt::format("`{}` is no endpoint: say http://HOST:PORT or https://HOST", text));
    };
    Endpoint endpoint;
    std::string_view rest = text;
    endpoint.tls = rest.starts_with("https://");
    if (!endpoint.tls && !rest.starts_with("http://")) return bad();
    rest.remove_prefix(endpoint.tls ? 8 : 7);
    if (rest.ends_with('/')) rest.remove_suffix(1);
    endpoint.port = endpoint.tls ? 443 : 80;
    std::size_t end = std::min(rest.find(':'), rest.size());
    if (rest.starts_with('[')) {
        end = rest.find(']');
        if (end == std::string_view::npos) return bad();
        endpoint.host = rest.substr(1, end - 1);
        ++end;
    } else {
        endpoint.host = rest.substr(0, end);
    }
    if (endpoint.host.empty() || endpoint.host.find_first_of("/@?#") != std::string::npos) {
        return bad();
    }
    rest.remove_prefix(end);
    if (rest.empty()) return endpoint;
    const auto port = base::parse_u64(rest.substr(1));
    if (rest[0] != ':' || !port || *port == 0 || *port > 65535) return bad();
    endpoint.port = static_cast<std::uint16_t>(*port);
    return endpoint;
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array<const char*, 4> kUnits = {"B", "KiB", "MiB", "GiB"};
    std::size_t unit = 0;
    while (unit + 1 < kUnits.size() && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", bytes, kUnits[unit]);
}

Result<Options> options_of(const Args& args, const Console& console) {
    Options options;
    TRY_ASSIGN(options.mode, parse_mode(args.operands()[0]));
    TRY_ASSIGN(options.endpoint, parse_endpoint(args.at("endpoint")));
    options.path = args.value("path").value_or("");
    options.region = args.at("region");
    options.bucket = args.at("bucket");
    options.prefix = args.at("prefix");
    TRY(read_credentials(args, console, &options));
    TRY(read_load(args, &options));
    options.reuse = args.is_on("reuse");
    options.keep = options.reuse || args.is_on("keep");
    options.verify = args.is_on("verify");
    options.unsigned_payload = args.is_on("unsigned-payload");
    options.insecure = args.is_on("insecure");
    options.json = args.is_on("json");
    TRY(check(options));
    return options;
}

}  // namespace hamster::cli::bench
