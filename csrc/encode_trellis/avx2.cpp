// The search through the trellis with AVX2, 8 rows at a time.
#include "core/target.hpp"
#include "encode_trellis/encode_trellis.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "core/vec_avx2.inl"

#include "encode_trellis/encode_trellis.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<EncodeTrellis> registered(Isa::avx2, avx2::encode_trellis_rows);
}  // namespace vecpress

#endif
