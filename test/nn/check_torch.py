#!/usr/bin/env python3
"""Checks that torch loads checkpoints and PEFT loads adapters written here, with the same outputs, and the other way.

Usage: check_torch.py TEST_PROGRAM   (the built lowrank-tests; needs torch, safetensors and peft)
"""
import os
import subprocess
import sys
import tempfile

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file


class Mlp(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.depth = len(sizes) - 1
        for i in range(self.depth):
            setattr(self, f"linear{i + 1}", torch.nn.Linear(sizes[i], sizes[i + 1]))

    def forward(self, x):
        for i in range(1, self.depth + 1):
            x = getattr(self, f"linear{i}")(x)
            x = torch.relu(x) if i < self.depth else x
        return x


def base_of(folder):
    module = Mlp([25, 64, 48, 4])
    module.load_state_dict(load_file(f"{folder}/base.safetensors"), strict=True)
    return module.eval()


def run(program, case, folder):
    result = subprocess.run([program, f"--test-case=*{case}*"], env=dict(os.environ, LOWRANK_TORCH_FOLDER=folder))
    if result.returncode != 0:
        sys.exit(f"the test '{case}' failed")


def compare(name, module, path):
    expected = load_file(path)
    with torch.no_grad():
        found = module(expected["inputs"])
    error = ((found - expected["outputs"]).abs().max() / expected["outputs"].abs().max()).item()
    print(f"{name}: largest relative difference {error:.1e}")
    if not error < 1e-5:
        sys.exit(f"{name}: the outputs differ")


def write_peft(folder, number, **options):
    torch.manual_seed(number)
    module = get_peft_model(base_of(folder), LoraConfig(init_lora_weights=False, lora_dropout=0.0, **options)).eval()
    path = f"{folder}/peft{number}"
    module.save_pretrained(path)
    inputs = torch.randn(12, 25)
    with torch.no_grad():
        save_file({"inputs": inputs, "outputs": module(inputs)}, f"{path}/outputs.safetensors")


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        run(program, "files for torch and PEFT to read", folder)
        compare("base", base_of(folder), f"{folder}/base.outputs.safetensors")
        for i in range(6):
            adapter = f"{folder}/adapter{i}"
            compare(f"adapter {i}", PeftModel.from_pretrained(base_of(folder), adapter).eval(), f"{adapter}/outputs.safetensors")
        write_peft(folder, 0, r=3, lora_alpha=5, target_modules=["linear1", "linear2", "linear3"])
        write_peft(folder, 1, r=2, lora_alpha=3, use_rslora=True, target_modules=["linear1", "linear2"],
                   rank_pattern={"^linear2": 4}, alpha_pattern={"linear2": 7})
        run(program, "adapters that PEFT wrote", folder)


if __name__ == "__main__":
    main()
