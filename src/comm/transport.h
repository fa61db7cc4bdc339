// What carries bytes between ranks: MPI in the plug-in libfathom_mpi.so (mpi_transport.cpp), memory
// in unit tests. Only plain types cross this border, because the plug-in may have been built
// against another MPI than ours by a cluster's owner. Nothing here waits, but start() and stop().
#pragma once

#include <cstddef>
#include <cstdint>

namespace fathom::comm {

// Messages of the two channels never meet: one is the engine thread's, one the heart's.
enum class Channel : int32_t { kData = 0, kHealth = 1 };

inline constexpr int kAnyPeer = -1;
inline constexpr int kTransportVersion = 1;
inline constexpr const char* kTransportEntry = "fathom_transport_entry";

// A message under way. The transport keeps its own handle in it.
struct Request {
  uint64_t handle = 0;
};

// Functions return null, or what went wrong; the text stays valid until the thread's next call.
class Transport {
 public:
  virtual ~Transport() = default;

  // Waits until every rank of the job has started.
  virtual const char* start() = 0;
  // Waits until every rank has called it. No message may be under way.
  virtual const char* stop() = 0;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int max_tag() const = 0;  // tags are 0 ... max_tag()

  // Memory stays untouched by the caller until test() says that it is done. Messages with equal
  // channel, tag and ranks keep their order. At most kMaxMessage bytes.
  virtual const char* send(Channel channel, int to, int tag, const void* data, size_t bytes,
                           Request* request) = 0;
  // A message longer than `bytes` is an error.
  virtual const char* receive(Channel channel, int from, int tag, void* data, size_t bytes,
                              Request* request) = 0;
  // `received`: the length of the message, of receives that are done.
  virtual const char* test(Request* request, bool* done, size_t* received) = 0;
};

inline constexpr size_t kMaxMessage = size_t{1} << 30;

// The plug-in's one exported function, by the name kTransportEntry. Null if it serves another
// version of this header. The object lives as long as the process.
using TransportEntry = Transport* (*)(int version);

}  // namespace fathom::comm
