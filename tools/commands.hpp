#pragma once

namespace lowrank::tools {

/// The subcommands. Each takes its own name as argv[0] and returns the exit status; failures are thrown.
int gen_command(int argc, char** argv);
int info_command(int argc, char** argv);
int rank_command(int argc, char** argv);
int svd_command(int argc, char** argv);
int factor_command(int argc, char** argv);
int verify_command(int argc, char** argv);
int convert_command(int argc, char** argv);
int train_command(int argc, char** argv);
int eval_command(int argc, char** argv);
int lora_command(int argc, char** argv);
int devices_command(int argc, char** argv);

}  // namespace lowrank::tools
