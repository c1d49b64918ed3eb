"""Compiles kernels for devices that are not there, and prints what came out: a line of JSON a compilation.

    python tests/kernels/compile_ahead.py 90 [--ones] [part of a name ...]

In a process of its own, without TRITON_INTERPRET, under which kernels are no kernels to a compiler.
--ones: with all sizes 1, which Triton takes for constants.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# bytes that a block may have (CUDA C++ programming guide, technical specifications)
SHARED = {80: 166_912, 90: 232_448, 100: 232_448}


def compile_one(spec, capability: int, ones: bool = False) -> dict:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    constants = {**spec.constants, **spec.tile.sizes}
    if ones:
        constants |= {name: 1 for name, type_ in spec.types.items() if type_ == "i32"}
    names = spec.kernel.arg_names
    signature = {name: "constexpr" if name in constants else spec.types[name] for name in names}
    attributes = {(names.index(name),): [["tt.divisibility", 16]] for name in spec.aligned if name not in constants}
    source = ASTSource(fn=spec.kernel, signature=signature, constexprs=constants, attrs=attributes)
    begin = time.perf_counter()
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=spec.tile.options)
    seconds = time.perf_counter() - begin
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = subprocess.run([tools / "cuobjdump", "-res-usage", file.name], capture_output=True, text=True, check=True)
        code = subprocess.run([tools / "cuobjdump", "-sass", file.name], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"\b(REG|STACK|LOCAL):(\d+)", usage.stdout + usage.stderr))
    return {
        "name": spec.name, "capability": capability, "seconds": round(seconds, 2), "shared": compiled.metadata.shared,
        "most_shared": SHARED[capability], "registers": int(found["REG"]), "stack": int(found["STACK"]),
        "local": int(found["LOCAL"]), "spills": len(re.findall(r"\b(?:LDL|STL)\b", code)),
        "wanted": list(spec.wants), "has": [word for word in spec.wants if re.search(rf"\b{re.escape(word)}", code)],
        "instructions": len(re.findall(r"^\s*/\*[0-9a-f]{4,5}\*/", code, re.M)),
        "narrow": narrow_offsets(compiled.asm["ttir"]), "inexact": inexact(compiled.asm["ptx"]),
    }  # fmt: skip


def narrow_offsets(ttir: str) -> list[str]:
    """The pointer additions whose offsets have fewer than 64 bits."""
    additions = [line.strip() for line in ttir.splitlines() if "tt.addptr" in line]
    return [line[:160] for line in additions if re.search(r"[x ,]i(8|16|32)>?( loc|$)", line)]


def inexact(ptx: str) -> list[str]:
    """Instructions that are not rounded correctly, that flush to 0, or that may be fused with what comes next."""
    return sorted({*re.findall(r"\b\S*(?:\.approx|\.full\.|\.ftz)\S*|\b(?:add|sub|mul)\.f(?:32|64)\b", ptx)})


def main() -> None:
    from vecpress import kernels

    capability, parts = int(sys.argv[1]), [part for part in sys.argv[2:] if part != "--ones"]
    for spec in kernels.specs(capability):
        if not parts or any(part in f"{spec.name} " for part in parts):
            print(json.dumps(compile_one(spec, capability, "--ones" in sys.argv)), flush=True)


if __name__ == "__main__":
    main()
