#include "base/result.h"

namespace hamster::base {

std::string_view to_string(Code code) {
    switch (code) {
        case Code::kNotFound:
            return "not found";
        case Code::kInvalid:
            return "invalid";
        case Code::kAlreadyExists:
            return "already exists";
        case Code::kPrecondition:
            return "precondition failed";
        case Code::kConflict:
            return "conflict";
        case Code::kCorrupt:
            return "corrupt";
        case Code::kIo:
            return "I/O error";
        case Code::kNoSpace:
            return "no space";
        case Code::kUnavailable:
            return "unavailable";
        case Code::kUnknownOutcome:
            return "unknown outcome";
        case Code::kTimeout:
            return "timeout";
        case Code::kClosed:
            return "closed";
        case Code::kTooLarge:
            return "too large";
        case Code::kUnsupported:
            return "unsupported";
        case Code::kDenied:
            return "denied";
    }
    return "unknown";
}

}  // namespace hamster::base
