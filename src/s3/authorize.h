// The one place that decides who may do what. Today: a bucket belongs to the user who made it,
// root may do everything. Policies will be judged here.
#pragma once

#include "meta/view.h"
#include "s3/action.h"
#include "s3/error.h"
#include "s3/request.h"

namespace hamster::s3 {

// Looks the bucket up and checks `action` on it: NoSuchBucket, AccessDenied. The key belongs to
// the question already, so that policies can be added without touching callers.
S3Result<proto::Bucket> authorize(const meta::View& view, const Identity& identity, Action action,
                                  std::string_view bucket, std::string_view key);

// Zero (root) when the record names none.
base::UserId owner_of(const proto::Bucket& bucket);

}  // namespace hamster::s3
