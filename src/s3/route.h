// The one route table: every (level, method, sub-resource, header) is exactly one action or is
// refused. Also refuses what we do not implement but would change the meaning of a request, so
// that nothing is ever silently ignored. Pure.
#pragma once

#include "s3/action.h"
#include "s3/address.h"
#include "s3/error.h"
#include "s3/request.h"

namespace hamster::s3 {

S3Result<Action> route(const RequestHead& head, Level level);

// x-amz-* headers that `action` cannot honour: encryption, locks, ACLs, unknown ones.
S3Result<> check_headers(const RequestHead& head, Action action);

// True for a browser's form upload (POST policy), which carries its signature inside the body.
bool is_form_upload(const RequestHead& head, Level level);

// True when the action reads a request body.
bool takes_body(Action action);

}  // namespace hamster::s3
