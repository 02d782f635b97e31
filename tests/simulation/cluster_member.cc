#include "cluster_member.h"

#include <utility>

#include "base/assert.h"

namespace hamster::simulation {

namespace {

Task<void> live(Process* process, node::Options options, Start how, std::string token) {
    if (how != Start::kOpen) {
        auto task = how == Start::kInit
                        ? node::init_data_dir(process->world, &process->keys, options)
                        : node::join_data_dir(process->world, &process->keys, options, token);
        auto made = co_await std::move(task);
        if (!made) process->error = made.error();
        process->is_ended = made.has_value();
        co_return;
    }
    std::vector<runtime::World*> io{process->world};
    auto opened = co_await node::Node::open(process->world, std::move(io), &process->keys, options);
    if (opened) {
        process->node = std::move(*opened);
    } else {
        process->error = opened.error();
    }
}

Task<void> end(Process* process) {
    co_await process->node->stop();
    process->is_ended = true;
}

}  // namespace

Member::Member(runtime::sim::Simulator* sim, std::string name, node::Options options)
    : name_(std::move(name)), machine_(&sim->machine(name_)), options_(std::move(options)) {
    options_.name = name_;
    options_.host = name_;
    options_.listen = cluster_address();
    options_.s3_address = s3_address();
    disk_.capacity_bytes = kMemberCapacity;
    machine_->set_faults(disk_);
}

void Member::start(Start how, std::string shown) {
    HAMSTER_ASSERT(process_ == nullptr, name_);
    ++lives_;
    is_suspect = has_bad_disk();
    is_stopping = false;
    process_ = std::make_unique<Process>(&machine_->boot());
    runtime::spawn(process_->world->executor, process_->gate, "process",
                   live(process_.get(), options_, how, std::move(shown)));
}

void Member::crash() {
    if (!process_) return;
    machine_->crash([this] { process_.reset(); });
}

void Member::arm_crash(std::uint64_t at_io, std::function<void()> then) {
    if (process_) machine_->crash_at_io(at_io, std::move(then));
}

void Member::stop() {
    HAMSTER_ASSERT(node() != nullptr && !is_stopping, name_);
    is_stopping = true;
    runtime::spawn(process_->world->executor, process_->gate, "stop", end(process_.get()));
}

void Member::set_disk(const runtime::sim::DiskFaults& faults) {
    disk_ = faults;
    machine_->set_faults(disk_);
    if (has_bad_disk()) is_suspect = true;
}

bool Member::has_bad_disk() const {
    return disk_.read_eio_ppm + disk_.write_eio_ppm + disk_.sync_eio_ppm > 0;
}

void Member::set_clock(std::int64_t offset_ms) {
    offset_ms_ = offset_ms;
    machine_->set_clock_offset_ms(offset_ms);
}

void Member::set_paused(bool paused) {
    if (!process_ || machine_->is_paused() == paused) return;
    if (paused) {
        machine_->pause();
    } else {
        machine_->resume();
    }
}

void Member::empty_disk() {
    HAMSTER_ASSERT(process_ == nullptr, name_);
    machine_->empty_disk();
    former = id;
    id = {};
    token.clear();
    set_replaces(former);
    options_.name = name_ + "-" + std::to_string(++disks_);
}

void Member::set_replaces(const base::NodeId& target) {
    replaces = target;
    options_.replaces = target.is_zero() ? std::string() : target.hex();
}

bool Member::has_directory() const {
    return machine_->durable_content(std::string(node::kFormatFile)).has_value();
}

}  // namespace hamster::simulation
