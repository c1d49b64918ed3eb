// Packed codes with NEON.
#include "core/target.hpp"
#include "pack_codes/pack_codes.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "pack_codes/planes.inl"

#include "pack_codes/pack_codes.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<PackCodes> registered_pack(Isa::neon, neon::pack_code_rows);
static const Register<UnpackCodes> registered_unpack(Isa::neon, neon::unpack_code_rows);
}  // namespace vecpress

#endif
