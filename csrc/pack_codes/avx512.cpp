// Packed codes with AVX-512.
#include "core/target.hpp"
#include "pack_codes/pack_codes.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "pack_codes/planes.inl"

#include "pack_codes/pack_codes.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<PackCodes> registered_pack(Isa::avx512, avx512::pack_code_rows);
static const Register<UnpackCodes> registered_unpack(Isa::avx512, avx512::unpack_code_rows);
}  // namespace vecpress

#endif
