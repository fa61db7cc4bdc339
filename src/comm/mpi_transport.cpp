// MPI as a Transport: the plug-in libfathom_mpi.so. The only file that knows mpi.h, so that a
// cluster with an MPI of its own builds this one against it.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <cstring>

#include "comm/transport.h"

namespace fathom::comm {
namespace {

static_assert(sizeof(MPI_Request) <= sizeof(Request::handle));

thread_local char last_error[MPI_MAX_ERROR_STRING + 1];

const char* check(int code) {
  if (code == MPI_SUCCESS) return nullptr;
  int kind = MPI_ERR_OTHER;
  MPI_Error_class(code, &kind);
  if (kind == MPI_ERR_TRUNCATE) return "expected a message of the size asked for, got a longer one";
  int length = 0;
  if (MPI_Error_string(code, last_error, &length) != MPI_SUCCESS) return "MPI failed";
  return last_error;
}

class MpiTransport final : public Transport {
 public:
  const char* start() override {
    int level = 0;
    if (const char* trouble = check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &level)))
      return trouble;
    if (level < MPI_THREAD_MULTIPLE) return "expected an MPI with MPI_THREAD_MULTIPLE, got less";
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    int* tag = nullptr;
    int known = 0;
    MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &tag, &known);
    if (known != 0) max_tag_ = *tag;
    for (MPI_Comm& channel : channels_) {
      if (const char* trouble = check(MPI_Comm_dup(MPI_COMM_WORLD, &channel))) return trouble;
      MPI_Comm_set_errhandler(channel, MPI_ERRORS_RETURN);
    }
    return nullptr;
  }

  const char* stop() override {
    for (MPI_Comm& channel : channels_) MPI_Comm_free(&channel);
    return check(MPI_Finalize());
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int max_tag() const override { return max_tag_; }

  const char* send(Channel channel, int to, int tag, const void* data, size_t bytes,
                   Request* request) override {
    MPI_Request made;
    const char* trouble = check(
        MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, to, tag, communicator(channel), &made));
    std::memcpy(&request->handle, &made, sizeof(made));
    return trouble;
  }

  const char* receive(Channel channel, int from, int tag, void* data, size_t bytes,
                      Request* request) override {
    MPI_Request made;
    const char* trouble = check(MPI_Irecv(data, static_cast<int>(bytes), MPI_BYTE,
                                          from == kAnyPeer ? MPI_ANY_SOURCE : from, tag,
                                          communicator(channel), &made));
    std::memcpy(&request->handle, &made, sizeof(made));
    return trouble;
  }

  const char* test(Request* request, bool* done, size_t* received) override {
    MPI_Request made;
    std::memcpy(&made, &request->handle, sizeof(made));
    MPI_Status status;
    int finished = 0;
    const char* trouble = check(MPI_Test(&made, &finished, &status));
    std::memcpy(&request->handle, &made, sizeof(made));
    *done = finished != 0;
    if (trouble != nullptr || finished == 0) return trouble;
    int count = 0;
    MPI_Get_count(&status, MPI_BYTE, &count);
    *received = count == MPI_UNDEFINED ? 0 : static_cast<size_t>(count);
    return nullptr;
  }

 private:
  MPI_Comm communicator(Channel channel) const { return channels_[static_cast<int>(channel)]; }

  int rank_ = 0;
  int size_ = 1;
  int max_tag_ = 32767;  // what every MPI has at least
  MPI_Comm channels_[2] = {MPI_COMM_NULL, MPI_COMM_NULL};
};

}  // namespace
}  // namespace fathom::comm

extern "C" fathom::comm::Transport* fathom_transport_entry(int version) {
  static fathom::comm::MpiTransport transport;
  return version == fathom::comm::kTransportVersion ? &transport : nullptr;
}
