// The world: everything a node may touch outside its own memory. Product code reaches it only
// through these interfaces, so the same code runs on Linux (runtime/real) and in the simulator
// (runtime/sim). A World belongs to one loop; its parts may be shared between the loops of a node.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/task.h"

namespace hamster::runtime {

using base::Bytes;
using base::MutableBytes;

using Micros = std::chrono::microseconds;
// Monotonic, from an arbitrary origin.
struct Time {
    std::int64_t us = 0;
    auto operator<=>(const Time&) const = default;
    Time operator+(Micros d) const { return {us + d.count()}; }
    Micros operator-(Time o) const { return Micros(us - o.us); }
    static constexpr Time never() { return {INT64_MAX}; }
};

class Clock {
  public:
    virtual ~Clock() = default;
    virtual Time now() = 0;
    // Milliseconds since 1970 of this machine's own, possibly wrong, clock.
    virtual std::uint64_t unix_ms() = 0;
    // Resumes on the caller's loop.
    virtual Task<void> sleep(Micros duration) = 0;
};

// Seeded and reproducible in simulation; from the operating system in production. Not a source of
// keys: those come from crypto/.
class Random {
  public:
    virtual ~Random() = default;
    virtual std::uint64_t next() = 0;
    // Uniform in [0, bound), bound > 0.
    std::uint64_t below(std::uint64_t bound);
    void fill(MutableBytes out);
    template <class Id>
    Id id() {
        Id out;
        fill(MutableBytes(out.raw.data(), out.raw.size()));
        return out;
    }
};

// An open file. Calls may overlap; each resumes on its caller's loop. Offsets and lengths of
// write_durable must be multiples of base::kBlock, and its memory aligned to it.
// A File is closed by its destructor.
class File {
  public:
    virtual ~File() = default;
    // Fewer bytes than asked only at the end of the file. kIo on a device error.
    virtual Task<Result<std::size_t>> read(std::uint64_t offset, MutableBytes out) = 0;
    // Written and on stable storage (data and the metadata needed to read it) when it returns.
    // kNoSpace leaves the file usable; after kIo the caller must stop using the file.
    virtual Task<Result<void>> write_durable(std::uint64_t offset, std::vector<Bytes> pieces) = 0;
    // Written to the cache only; durable after a later sync().
    virtual Task<Result<void>> write(std::uint64_t offset, std::vector<Bytes> pieces) = 0;
    virtual Task<Result<void>> sync() = 0;
    // Reserves space; `zeroed` also writes zeros (pre-written: later durable writes need no
    // metadata update). Extends the size. kNoSpace when it does not fit.
    virtual Task<Result<void>> allocate(std::uint64_t offset, std::uint64_t length,
                                        bool zeroed) = 0;
    // Gives the space back; the range reads as zeros. Not durable until sync().
    virtual Task<Result<void>> punch(std::uint64_t offset, std::uint64_t length) = 0;
    virtual Task<Result<void>> truncate(std::uint64_t size) = 0;
    virtual Result<std::uint64_t> size() = 0;
};

struct DiskSpace {
    std::uint64_t free_bytes = 0;  // usable by us
    std::uint64_t total_bytes = 0;
};

// The data directory. Paths are relative to it, '/'-separated, and never contain user input.
// Directory operations (create, rename, remove) are durable once sync_dir(parent) returned.
class Disk {
  public:
    virtual ~Disk() = default;
    enum class Mode { kRead, kReadWrite, kCreate };  // kCreate: read-write, made if absent
    virtual Task<Result<std::unique_ptr<File>>> open(std::string path, Mode mode) = 0;
    virtual Task<Result<void>> remove(std::string path) = 0;
    virtual Task<Result<void>> rename(std::string from, std::string to) = 0;
    virtual Task<Result<void>> make_dir(std::string path) = 0;  // parents too; existing is fine
    virtual Task<Result<void>> sync_dir(std::string path) = 0;  // "" is the data directory
    // Names in a directory, sorted. kNotFound when it does not exist.
    virtual Task<Result<std::vector<std::string>>> list(std::string path) = 0;
    // Exclusive lock on a file for the life of this Disk, which may ask for it again; kConflict
    // when another process has it.
    virtual Result<void> lock(std::string path) = 0;
    virtual Result<DiskSpace> space() = 0;
    // Absolute path for libraries that open files themselves (RocksDB); empty in simulation.
    virtual std::string real_path(std::string_view path) = 0;
};

// A whole small file at a time. write_file replaces atomically and durably (temporary + rename +
// directory sync); `mode` are Unix permission bits.
Task<Result<std::string>> read_file(Disk* disk, std::string path, std::size_t limit);
Task<Result<void>> write_file(Disk* disk, std::string path, std::string content);

// A connection: bytes in order, both ways. One read and one write may be pending at a time.
class Stream {
  public:
    virtual ~Stream() = default;
    // 0 at the end of the stream. kClosed on reset, kTimeout once the deadline has passed.
    virtual Task<Result<std::size_t>> read_some(MutableBytes out) = 0;
    // Writes every piece, in order.
    virtual Task<Result<void>> write(std::vector<Bytes> pieces) = 0;
    // Pending and later operations fail with kTimeout after `deadline`. Coarse: up to 1 s late.
    virtual void set_deadline(Time deadline) = 0;
    // Half-closes after what was written has been sent (TLS: close_notify).
    virtual Task<void> shutdown() = 0;
    // Fails everything pending. Idempotent.
    virtual void close() = 0;
    virtual std::string peer() const = 0;  // address:port
    virtual bool is_tls() const { return false; }
    // Ends the TLS handshake, within the deadline. Only of use before peer_certificates().
    virtual Task<Result<void>> handshake() { co_return Result<void>{}; }
    // DER, the peer's own first, once the handshake is done: it has proved to hold that one's key,
    // and nothing else about them is checked. Empty when it showed none.
    virtual std::vector<std::string> peer_certificates() const { return {}; }
};

class Listener {
  public:
    virtual ~Listener() = default;
    virtual Task<Result<std::unique_ptr<Stream>>> accept() = 0;  // kClosed after close()
    virtual void close() = 0;
    virtual std::uint16_t port() const = 0;
};

// What a listening side needs for TLS; made by Network::load_tls, reloaded in place.
class TlsServer {
  public:
    virtual ~TlsServer() = default;
    // Reads the files again; on an error the old certificate stays in use.
    virtual Result<void> reload() = 0;
};

// The other side of a TLS connection that we open.
struct TlsTarget {
    std::string address;      // ip:port, [ip6]:port
    std::string server_name;  // for SNI, and checked against the certificate
    bool verify = true;       // false: any certificate is taken
    std::string ca_path;      // PEM bundle; empty: the system's
};

// What a node shows to other nodes: DER. Without `certificate` (a newcomer): nothing.
struct NodeTls {
    std::string certificate;
    std::string key;  // PKCS#8
    std::string ca;   // sent along
};

class Network {
  public:
    virtual ~Network() = default;
    // `address` is ip:port, [ip6]:port. Several loops may listen on the same address. `tls` may be
    // null and must outlive the listener's streams.
    virtual Result<std::unique_ptr<Listener>> listen(std::string address, TlsServer* tls) = 0;
    virtual Task<Result<std::unique_ptr<Stream>>> connect(std::string address, Time deadline) = 0;
    // kUnsupported in simulation.
    virtual Task<Result<std::unique_ptr<Stream>>> connect_tls(TlsTarget target, Time deadline);
    // Between nodes: TLS 1.3 with certificates of both sides, each taken as it is: who the peer is
    // must be judged from Stream::peer_certificates() after handshake(), by whoever uses the
    // stream.
    virtual Result<std::unique_ptr<Listener>> listen_nodes(std::string address,
                                                           std::shared_ptr<const NodeTls> tls);
    virtual Task<Result<std::unique_ptr<Stream>>> connect_node(std::string address,
                                                               std::shared_ptr<const NodeTls> tls,
                                                               Time deadline);
    // PEM files; TLS 1.2 and later.
    virtual Result<std::unique_ptr<TlsServer>> load_tls(std::string cert_path,
                                                        std::string key_path) = 0;
};

// What a thread of the pool does most of the time. Calculations run on one thread per core at most,
// so that a durable write never queues behind the hashing of large bodies.
enum class WorkKind : std::uint8_t { kWaits, kComputes };

// Threads for work that would block a loop. In simulation the work runs inline after a delay.
class BlockingPool {
  public:
    virtual ~BlockingPool() = default;
    virtual void post(std::move_only_function<void()> work, WorkKind kind) = 0;
};

struct World {
    Executor executor;  // of the loop this world belongs to
    Clock& clock;
    Random& random;
    Disk& disk;
    Network& network;
    BlockingPool& pool;
};

// Runs `fn` on the pool, resumes on the caller's loop with what it returned. `fn` must own or
// outlive what it touches until the returned task has finished.
template <class Fn>
Task<std::invoke_result_t<Fn>> run_blocking(BlockingPool* pool, Fn fn,
                                            WorkKind kind = WorkKind::kWaits);

}  // namespace hamster::runtime

#include "runtime/run_blocking.inl"
