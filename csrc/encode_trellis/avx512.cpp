// The search through the trellis with AVX-512, 16 rows at a time.
#include "core/target.hpp"
#include "encode_trellis/encode_trellis.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "encode_trellis/encode_trellis.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<EncodeTrellis> registered(Isa::avx512, avx512::encode_trellis_rows);
}  // namespace vecpress

#endif
