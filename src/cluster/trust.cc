#include "cluster/trust.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/log.h"
#include "crypto/seal.h"

namespace hamster::cluster {

using runtime::Task;

namespace {

constexpr std::size_t kMaxAcquaintances = 2U << 20U;
constexpr std::string_view kSealContext = "cluster ca ";

std::string seal_context(const base::ClusterId& cluster) {
    return std::string(kSealContext) + std::string(cluster.view());
}

Error with_advice(const Error& error, std::string_view file) {
    return {error.code,
            fmt::format("{}: {}; restore it from a backup of this data directory, or remove the "
                        "node from the cluster and join anew with an empty directory",
                        file, error.context)};
}

Task<Result<std::string>> read_pem(runtime::Disk* disk, std::string_view file) {
    auto text = co_await runtime::read_file(disk, std::string(file), crypto::kMaxPem);
    if (!text) {
        co_return std::unexpected(with_advice(text.error(), file));
    }
    co_return text;
}

}  // namespace

Task<Result<Credentials>> load_credentials(runtime::Disk* disk) {
    auto key_text = co_await read_pem(disk, kNodeKeyFile);
    CO_TRY(key_text);
    auto certificate_text = co_await read_pem(disk, kNodeCertificateFile);
    CO_TRY(certificate_text);
    auto ca_text = co_await read_pem(disk, kCaFile);
    CO_TRY(ca_text);
    auto key = crypto::SigningKey::from_pem(*key_text);
    if (!key) co_return std::unexpected(with_advice(key.error(), kNodeKeyFile));
    auto certificate = crypto::Certificate::from_pem(*certificate_text);
    if (!certificate) {
        co_return std::unexpected(with_advice(certificate.error(), kNodeCertificateFile));
    }
    auto ca_certificate = crypto::Certificate::from_pem(*ca_text);
    if (!ca_certificate) co_return std::unexpected(with_advice(ca_certificate.error(), kCaFile));
    auto ca = crypto::ClusterCa::from(std::move(*ca_certificate));
    if (!ca) co_return std::unexpected(with_advice(ca.error(), kCaFile));
    if (!certificate->is_of(*key)) {
        co_return std::unexpected(with_advice(
            {Code::kInvalid, "it is not the key of " + std::string(kNodeCertificateFile)},
            kNodeKeyFile));
    }
    co_return Credentials{std::move(*ca), std::move(*certificate), std::move(*key)};
}

Task<Result<void>> store_credentials(runtime::Disk* disk, Credentials credentials) {
    auto ca = co_await runtime::write_file(disk, std::string(kCaFile),
                                           credentials.ca.certificate().pem());
    CO_TRY(ca);
    auto key = co_await runtime::write_file(disk, std::string(kNodeKeyFile), credentials.key.pem());
    CO_TRY(key);
    auto certificate = co_await runtime::write_file(disk, std::string(kNodeCertificateFile),
                                                    credentials.certificate.pem());
    co_return certificate;
}

Task<Result<crypto::SigningKey>> load_or_create_key(runtime::Disk* disk, crypto::KeySource* keys) {
    auto text = co_await read_pem(disk, kNodeKeyFile);
    if (text) co_return crypto::SigningKey::from_pem(*text);
    if (text.error().code != Code::kNotFound) co_return std::unexpected(std::move(text).error());
    crypto::SigningKey key = crypto::SigningKey::generate(keys);
    auto written = co_await runtime::write_file(disk, std::string(kNodeKeyFile), key.pem());
    CO_TRY(written);
    co_return key;
}

std::shared_ptr<const runtime::NodeTls> to_tls(const Credentials& credentials) {
    return std::make_shared<const runtime::NodeTls>(runtime::NodeTls{
        credentials.certificate.der(), credentials.key.der(), credentials.ca.certificate().der()});
}

// The file: XXH3-64 (le64) over what follows, the message.
Task<Result<proto::Acquaintances>> load_acquaintances(runtime::Disk* disk) {
    const std::string file(kAcquaintancesFile);
    auto text = co_await runtime::read_file(disk, file, kMaxAcquaintances);
    if (!text && text.error().code == Code::kNotFound) co_return proto::Acquaintances{};
    CO_TRY(text);
    proto::Acquaintances known;
    const base::Bytes bytes = base::as_bytes(*text);
    const bool is_whole = bytes.size() >= 8 &&
                          base::load_le64(bytes.data()) == base::xxh3_64(bytes.subspan(8)) &&
                          known.ParseFromString(text->substr(8));
    if (!is_whole) {
        co_return std::unexpected(with_advice({Code::kCorrupt, "it is damaged"}, file));
    }
    co_return known;
}

Task<Result<void>> store_acquaintances(runtime::Disk* disk, proto::Acquaintances known) {
    const std::string message = known.SerializeAsString();
    std::string text;
    std::array<std::byte, 8> sum{};
    base::store_le64(sum.data(), base::xxh3_64(base::as_bytes(message)));
    text = std::string(base::as_text(sum));
    auto written =
        co_await runtime::write_file(disk, std::string(kAcquaintancesFile), text + message);
    co_return written;
}

Result<crypto::Issuer> open_issuer(const meta::View& view, const crypto::Key256& secret) {
    TRY_ASSIGN(const std::optional<proto::Trust> trust, view.trust());
    if (!trust) return fail(Code::kNotFound, "the cluster has no CA yet");
    TRY_ASSIGN(auto certificate,
               crypto::Certificate::from_der(base::as_bytes(trust->ca_certificate())));
    TRY_ASSIGN(auto ca, crypto::ClusterCa::from(std::move(certificate)));
    const std::string context = seal_context(ca.cluster());
    auto seed =
        crypto::open(secret, base::as_bytes(trust->sealed_ca_key()), base::as_bytes(context));
    if (!seed) {
        return fail(Code::kCorrupt,
                    "the cluster secret of this node does not open the CA's key: restore "
                    "cluster.secret from a backup, or ask another member");
    }
    const auto key = crypto::Key256::from_bytes(base::as_bytes(*seed));
    if (!key) return fail(Code::kCorrupt, "the sealed key of the CA has a wrong length");
    return crypto::Issuer::from(std::move(ca), crypto::SigningKey(*key));
}

Task<Result<void>> found_trust(runtime::World* control, crypto::KeySource* keys, meta::Group* group,
                               crypto::Key256 secret, base::ClusterId cluster, proto::Node self) {
    auto viewed = co_await group->view();
    CO_TRY_ASSIGN(const meta::View view, viewed);
    CO_TRY_ASSIGN(const std::optional<proto::Trust> known, view.trust());
    if (known) co_return Result<void>{};
    const auto node = base::NodeId::from_bytes(self.node_id());
    if (!node) co_return fail(Code::kInvalid, "a node without an id");
    const std::uint64_t now_ms = group->stamp_now();
    const crypto::Issuer issuer = crypto::Issuer::found(keys, cluster, now_ms);
    const crypto::SigningKey key = crypto::SigningKey::generate(keys);
    auto certificate = issuer.issue(keys, crypto::SigningRequest::make(key), *node, now_ms);
    CO_TRY(certificate);
    auto stored =
        co_await store_credentials(&control->disk, {issuer.ca(), std::move(*certificate), key});
    CO_TRY(stored);
    proto::Command command;
    proto::FoundTrust& found = *command.mutable_found_trust();
    *found.mutable_founder() = std::move(self);
    found.mutable_founder()->set_public_key(key.public_key());
    proto::Trust& trust = *found.mutable_trust();
    trust.set_ca_certificate(issuer.ca().certificate().der());
    trust.set_sealed_ca_key(crypto::seal(keys, secret, issuer.key().seed().bytes(),
                                         base::as_bytes(seal_context(cluster))));
    trust.set_founder(std::string(node->view()));
    auto proposed = co_await group->propose(std::move(command));
    CO_TRY_ASSIGN(const proto::Answer answer, proposed);
    if (answer.status() != proto::Answer::OK) {
        co_return fail(Code::kInvalid, "the cluster's CA was not founded: " + answer.detail());
    }
    LOG_INFO("cluster", "founded the cluster's CA, {}",
             issuer.ca().certificate().fingerprint().hex());
    co_return Result<void>{};
}

}  // namespace hamster::cluster
