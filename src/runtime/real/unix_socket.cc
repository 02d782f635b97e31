#include "runtime/real/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace hamster::runtime::real {

namespace {

constexpr std::string_view kPrefix = "unix:";

struct Endpoint {
    Fd socket;
    sockaddr_un address{};
    [[nodiscard]] const sockaddr* raw() const {
        return reinterpret_cast<const sockaddr*>(&address);
    }
};

Result<Endpoint> open_endpoint(const std::string& path) {
    Endpoint endpoint;
    if (path.size() >= sizeof(endpoint.address.sun_path)) {
        return fail(Code::kTooLarge, "the path of the socket " + path + " is too long");
    }
    endpoint.address.sun_family = AF_UNIX;
    std::ranges::copy(path, endpoint.address.sun_path);
    endpoint.socket = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!endpoint.socket) return os_error(errno, "open a unix socket");
    return endpoint;
}

}  // namespace

std::optional<std::string> unix_path(std::string_view address) {
    if (!address.starts_with(kPrefix)) return std::nullopt;
    return std::string(address.substr(kPrefix.size()));
}

Result<Fd> listen_unix(const std::string& path, int backlog) {
    TRY_ASSIGN(Endpoint endpoint, open_endpoint(path));
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode))
        (void)::unlink(path.c_str());
    if (::bind(endpoint.socket.get(), endpoint.raw(), sizeof(endpoint.address)) != 0) {
        return os_error(errno, "listen on " + path);
    }
    // Nobody can connect before listen(), so the mode is right for the first who does.
    if (::chmod(path.c_str(), 0600) != 0 || ::listen(endpoint.socket.get(), backlog) != 0) {
        return os_error(errno, "listen on " + path);
    }
    return std::move(endpoint.socket);
}

Result<Fd> connect_unix(const std::string& path) {
    TRY_ASSIGN(Endpoint endpoint, open_endpoint(path));
    const auto connect = [&] {
        return ::connect(endpoint.socket.get(), endpoint.raw(), sizeof(endpoint.address));
    };
    if (retry(connect) != 0) return os_error(errno, "connect to " + path);
    return std::move(endpoint.socket);
}

}  // namespace hamster::runtime::real
