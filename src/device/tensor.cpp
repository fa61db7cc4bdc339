#include "device/tensor.h"

namespace fathom::device {

size_t dtype_size(fathom_dtype dtype) {
  switch (dtype) {
    case FATHOM_F32:
    case FATHOM_I32:
      return 4;
    case FATHOM_BF16:
    case FATHOM_F16:
      return 2;
    case FATHOM_F8_E4M3:
    case FATHOM_I8:
      return 1;
    case FATHOM_I64:
      return 8;
    case FATHOM_I4:
      break;  // less than a byte: see weight_row_bytes
  }
  FATHOM_CHECK(false, "dtype_size: expected a type of whole bytes");
}

size_t weight_row_bytes(fathom_dtype dtype, int64_t k) {
  const auto elements = static_cast<size_t>(k);
  return dtype == FATHOM_I4 ? elements / 2 : elements * dtype_size(dtype);
}

const char* dtype_name(fathom_dtype dtype) {
  switch (dtype) {
    case FATHOM_F32:
      return "f32";
    case FATHOM_BF16:
      return "bf16";
    case FATHOM_F16:
      return "f16";
    case FATHOM_F8_E4M3:
      return "f8_e4m3";
    case FATHOM_I8:
      return "i8";
    case FATHOM_I32:
      return "i32";
    case FATHOM_I64:
      return "i64";
    case FATHOM_I4:
      return "i4";
  }
  return "unknown";
}

}  // namespace fathom::device
