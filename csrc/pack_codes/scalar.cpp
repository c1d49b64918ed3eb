// Packed codes for the baseline machine.
#include "core/target.hpp"
#include "pack_codes/pack_codes.hpp"

namespace vecpress::scalar {
namespace {
#include "pack_codes/planes.inl"

#include "pack_codes/pack_codes.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<PackCodes> registered_pack(Isa::scalar, scalar::pack_code_rows);
static const Register<UnpackCodes> registered_unpack(Isa::scalar, scalar::unpack_code_rows);
}  // namespace vecpress
