// Packed codes with AVX2.
#include "core/target.hpp"
#include "pack_codes/pack_codes.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX2
namespace vecpress::avx2 {
namespace {
#include "pack_codes/planes.inl"

#include "pack_codes/pack_codes.inl"
}  // namespace
}  // namespace vecpress::avx2
VECPRESS_END

namespace vecpress {
static const Register<PackCodes> registered_pack(Isa::avx2, avx2::pack_code_rows);
static const Register<UnpackCodes> registered_unpack(Isa::avx2, avx2::unpack_code_rows);
}  // namespace vecpress

#endif
