#include "runtime/real/os.h"

#include <system_error>

namespace hamster::runtime::real {

namespace {

Code code_of(int error) {
    switch (error) {
        case ENOENT:
        case ENOTDIR:
            return Code::kNotFound;
        case ENOSPC:
        case EDQUOT:
            return Code::kNoSpace;
        case EEXIST:
        case ENOTEMPTY:
        case EISDIR:
        case EADDRINUSE:
            return Code::kConflict;
        case EACCES:
        case EPERM:
        case EROFS:
            return Code::kDenied;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH:
            return Code::kUnavailable;
        case ETIMEDOUT:
            return Code::kTimeout;
        case ECONNRESET:
        case ECONNABORTED:
        case EPIPE:
        case ENOTCONN:
        case EBADF:
        case ECANCELED:
            return Code::kClosed;
        case EADDRNOTAVAIL:
        case EAFNOSUPPORT:
            return Code::kInvalid;
        default:
            return Code::kIo;
    }
}

}  // namespace

std::unexpected<Error> os_error(int error, std::string_view what) {
    return fail(code_of(error), std::string(what) + ": " + std::system_category().message(error));
}

}  // namespace hamster::runtime::real
