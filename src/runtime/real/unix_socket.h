// Sockets in the file system: "unix:/absolute/path" as an address. For this room only. The
// descriptors are given to the TCP classes of Asio, which care about the protocol only when asked
// for addresses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/real/os.h"

namespace hamster::runtime::real {

// The path of such an address; nullopt for every other kind.
std::optional<std::string> unix_path(std::string_view address);
// Listens, readable and writable by the owner only; replaces a socket that nobody closed. Whoever
// calls holds a lock that says no other process listens there.
Result<Fd> listen_unix(const std::string& path, int backlog);
// kNotFound when there is no socket; kIo when nobody listens.
Result<Fd> connect_unix(const std::string& path);

}  // namespace hamster::runtime::real
