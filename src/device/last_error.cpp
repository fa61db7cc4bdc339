#include "device/last_error.h"

#include <utility>

namespace fathom::device {
namespace {

thread_local std::string message_of_thread;

}  // namespace

fathom_status fail(fathom_status status, std::string message) {
  message_of_thread = std::move(message);
  return status;
}

const char* last_error() {
  return message_of_thread.c_str();
}

}  // namespace fathom::device
