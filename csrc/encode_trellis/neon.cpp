// The search through the trellis with NEON, 4 rows at a time.
#include "core/target.hpp"
#include "encode_trellis/encode_trellis.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "encode_trellis/encode_trellis.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<EncodeTrellis> registered(Isa::neon, neon::encode_trellis_rows);
}  // namespace vecpress

#endif
