// Listening and connecting on Linux; unix:/absolute/path is an address here, too. One Network per
// loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "runtime/world.h"

namespace hamster::runtime::real {

std::unique_ptr<Network> make_network(asio::io_context& loop);

}  // namespace hamster::runtime::real
