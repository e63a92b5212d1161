#include <lowrank/core/device.hpp>
#include <utility>

namespace lowrank {
namespace {

class CalledAgain final : public Recording {
 public:
  explicit CalledAgain(std::function<void()> work) : work_(std::move(work)) {}
  void run() override { work_(); }

 private:
  std::function<void()> work_;
};

}  // namespace

std::unique_ptr<Recording> Device::record(std::function<void()> work) {
  return std::make_unique<CalledAgain>(std::move(work));
}

}  // namespace lowrank
