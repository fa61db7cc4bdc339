#include "net/tls.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "net/client/blocking.h"
#include "net/client/http_client.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using SystemError = boost::system::error_code;

// A self-signed certificate for `name` and its key, as PEM files.
void write_identity(const fs::path& certificate, const fs::path& key, const char* name) {
  EVP_PKEY* pair = EVP_EC_gen("P-256");
  X509* x509 = X509_new();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, pair);
  X509_NAME* subject = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  X509_set_issuer_name(x509, subject);
  X509_sign(x509, pair, EVP_sha256());
  FILE* file = std::fopen(certificate.c_str(), "w");
  PEM_write_X509(file, x509);
  std::fclose(file);
  file = std::fopen(key.c_str(), "w");
  PEM_write_PrivateKey(file, pair, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(file);
  X509_free(x509);
  EVP_PKEY_free(pair);
}

class TlsClient {
 public:
  explicit TlsClient(int port) {
    socket.lowest_layer().connect({asio::ip::address_v4::loopback(), static_cast<uint16_t>(port)});
    socket.handshake(asio::ssl::stream_base::client);
  }
  void send(std::string_view text) { asio::write(socket, asio::buffer(text)); }
  // All up to the end, and how that came.
  std::string receive_rest(SystemError& end) {
    std::string text;
    asio::read(socket, asio::dynamic_buffer(text), end);
    return text;
  }
  std::string receive(std::size_t bytes) {
    std::string text(bytes, '\0');
    asio::read(socket, asio::buffer(text));
    return text;
  }
  std::string common_name() {
    X509* x509 = SSL_get1_peer_certificate(socket.native_handle());
    char name[64] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(x509), NID_commonName, name, sizeof(name));
    X509_free(x509);
    return name;
  }

  asio::io_context io;
  asio::ssl::context context{asio::ssl::context::tls_client};
  asio::ssl::stream<asio::ip::tcp::socket> socket{io, context};
};

class Tls : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fathom-tls-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    write_identity(directory / "c.pem", directory / "k.pem", "first");
    identity = TlsIdentity::load(directory / "c.pem", directory / "k.pem").value();
  }
  void TearDown() override { fs::remove_all(directory); }

  std::unique_ptr<HttpServer> serve(Handler handler) {
    ServerOptions options = test_options();
    options.tls = identity;
    return start_server(std::move(handler), std::move(options));
  }

  fs::path directory;
  std::shared_ptr<TlsIdentity> identity;
};

TEST_F(Tls, AnswersRequestsOfOneConnectionAndClosesInOrder) {
  const auto server = serve(echo);
  TlsClient client(server->port());
  client.send(get_request("/one"));
  client.send(
      "POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\nConnection: close\r\n\r\n");
  client.send(std::string(70000, 'b'));
  SystemError end;
  const std::string answers = client.receive_rest(end);
  EXPECT_EQ(end, asio::error::eof);  // told, not cut off
  EXPECT_NE(answers.find("GET /one"), std::string::npos);
  EXPECT_NE(answers.find("POST /two " + std::string(70000, 'b')), std::string::npos);
}

TEST_F(Tls, StreamsWhileItWatchesTheClient) {
  std::mutex mutex;
  std::shared_ptr<ResponseWriter> writer;
  const auto server = serve([&](HttpRequest, std::shared_ptr<ResponseWriter> given) {
    given->begin_stream(200, {});
    given->write("data: 1\n\n");
    const std::scoped_lock lock(mutex);
    writer = std::move(given);
  });
  const auto held = [&] {
    const std::scoped_lock lock(mutex);
    return writer;
  };
  {
    TlsClient client(server->port());
    client.send(get_request("/"));
    ASSERT_TRUE(eventually([&] { return held() != nullptr; }));
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(held()->write(std::string(5000, 'x')));
    EXPECT_NE(client.receive(100'000).find("data: 1"), std::string::npos);
    EXPECT_FALSE(held()->client_gone());
  }
  EXPECT_TRUE(eventually([&] { return held()->client_gone(); }));
  writer = nullptr;
}

TEST_F(Tls, CutsAnAnswerThatIsIncompleteSoThatTheClientSeesIt) {
  const auto server = serve([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->begin_stream(200, {});
    writer->write("part");
  });
  TlsClient client(server->port());
  client.send(get_request("/"));
  SystemError end;
  client.receive_rest(end);
  EXPECT_NE(end, asio::error::eof);
}

TEST_F(Tls, RefusesPlainTextAndOldVersions) {
  const auto server = serve(echo);
  RawClient plain(server->port());
  plain.send(get_request("/"));
  EXPECT_EQ(plain.receive_rest().find("HTTP"), std::string::npos);
  EXPECT_ANY_THROW({
    asio::io_context io;
    asio::ssl::context context(asio::ssl::context::tls_client);
    SSL_CTX_set_max_proto_version(context.native_handle(), TLS1_1_VERSION);
    asio::ssl::stream<asio::ip::tcp::socket> socket(io, context);
    socket.lowest_layer().connect(
        {asio::ip::address_v4::loopback(), static_cast<uint16_t>(server->port())});
    socket.handshake(asio::ssl::stream_base::client);
  });
  TlsClient client(server->port());
  client.send(get_request("/still"));
  EXPECT_NE(client.receive(20).find("HTTP/1.1 200"), std::string::npos);
}

TEST_F(Tls, ANewCertificateIsForNewConnections) {
  const auto server = serve(echo);
  TlsClient before(server->port());
  write_identity(directory / "c.pem", directory / "k.pem", "second");
  ASSERT_TRUE(identity->reload().ok());
  EXPECT_EQ(TlsClient(server->port()).common_name(), "second");
  EXPECT_EQ(before.common_name(), "first");
  before.send(get_request("/"));
  EXPECT_NE(before.receive(20).find("HTTP/1.1 200"), std::string::npos);

  std::ofstream(directory / "k.pem") << "no key";
  EXPECT_FALSE(identity->reload().ok());
  EXPECT_EQ(TlsClient(server->port()).common_name(), "second");
}

TEST_F(Tls, OurClientWantsATrustedCertificateForTheName) {
  write_identity(directory / "c.pem", directory / "k.pem", "localhost");
  ASSERT_TRUE(identity->reload().ok());
  const auto server = serve(echo);
  BlockingRequest call;
  call.url = {"https", "localhost", server->port(), "/x"};
  call.ca_file = directory / "c.pem";
  call.body = std::string(100'000, 'b');
  call.method = "POST";
  const auto answer = request(call);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "POST /x " + call.body);

  const auto complaint = [&](const std::string& host, const fs::path& trusted) {
    call.url.host = host;
    call.ca_file = trusted;
    const auto refused = request(call);
    return refused.ok() ? std::string("none") : refused.error().message;
  };
  EXPECT_NE(complaint("localhost", "").find("expected a certificate that is trusted"),
            std::string::npos);
  EXPECT_NE(complaint("127.0.0.1", directory / "c.pem").find("trusted"), std::string::npos);
  EXPECT_NE(complaint("localhost", directory / "k.pem").find("k.pem: expected PEM certificates"),
            std::string::npos);
  const auto plain = start_server(echo);
  call.url.port = plain->port();
  EXPECT_NE(complaint("localhost", directory / "c.pem").find("TLS with localhost:"),
            std::string::npos);
}

TEST_F(Tls, OurClientKeepsItsConnection) {
  write_identity(directory / "c.pem", directory / "k.pem", "localhost");
  ASSERT_TRUE(identity->reload().ok());
  const auto server = serve(echo);
  asio::io_context io{1};
  ClientOptions options;
  options.ca_file = directory / "c.pem";
  HttpClient client(io, options);
  ClientRequest request;
  request.url = {"https", "localhost", server->port(), "/x"};
  for (int i = 0; i < 3; ++i) {
    std::string body;
    asio::co_spawn(
        io,
        [&]() -> Awaitable<void> {
          const Result<HttpResponse> answer = co_await client.request(request);
          body = answer ? answer->body : answer.error().message;
          io.stop();
        },
        asio::detached);
    io.restart();
    io.run_for(std::chrono::seconds(5));
    EXPECT_EQ(body, "GET /x ");
  }
  EXPECT_EQ(server->stats().accepted_connections, 1u);
}

TEST_F(Tls, SaysWhichFileIsWrong) {
  const auto complaint = [&](const char* certificate, const char* key) {
    const auto loaded = TlsIdentity::load(directory / certificate, directory / key);
    return loaded ? std::string() : loaded.error().message;
  };
  EXPECT_NE(complaint("none", "k.pem").find("none: expected a PEM certificate"), std::string::npos);
  EXPECT_NE(complaint("c.pem", "none").find("none: expected the PEM private key"),
            std::string::npos);
  write_identity(directory / "c2.pem", directory / "k2.pem", "other");
  EXPECT_NE(complaint("c.pem", "k2.pem").find("k2.pem"), std::string::npos);
}

}  // namespace
}  // namespace fathom::net
