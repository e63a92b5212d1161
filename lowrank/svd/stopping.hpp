#pragma once

#include <lowrank/svd/svd.hpp>
#include <vector>

namespace lowrank {

/// The energy that may be left out for an error of rtol·‖A‖_F: a little less than (rtol·norm)², so that the error
/// measured afterwards, with its rounding, meets the wish too.
double allowed_energy(double rtol, double norm, double eps);

/// The least r with outside + Σ_{i>r} values² <= allowed, or one more than there are values.
Index least_rank(const std::vector<double>& values, double outside, double allowed);

/// Decides from the Ritz values of one basis after the other how many triplets to keep and when the basis is good
/// enough.
///
/// Ritz values only grow towards the singular values, so what Σ_{i<=r} σ̂ᵢ² can still gain is what the error is above
/// the best possible one. It is bounded in two ways: by the energy outside the basis, ‖A‖² - ‖QᵀA‖² (Ky Fan), which
/// settles fast decaying spectra at once; else by extrapolating the gains of the last steps as a geometric series whose
/// ratio is taken no better than 1/2, and 0.7 where a slower phase begins.
class StoppingRule {
 public:
  struct Verdict {
    Index rank = 0;        ///< triplets to keep
    double error = 0;      ///< ‖A - what is kept‖_F, as far as the Ritz values tell
    bool met = false;      ///< the basis meets the wish
    bool settled = false;  ///< and is within the excess of the best
  };

  /// How the basis came about: in one of subspace iteration the last Ritz value is about the largest singular value
  /// outside; the last ones of a Krylov basis say nothing of those.
  enum class Basis { subspace, krylov };

  /// `norm` is ‖A‖_F, or negative when unknown (rank wishes only); `eps` the precision of the Ritz values; `excess` how
  /// far the error may be above the best one, relatively; `smaller` is min(rows, cols).
  StoppingRule(Truncation wish, double norm, double excess, double eps, Index smaller, Basis basis = Basis::subspace);

  /// `ritz` in falling order, of the present basis.
  Verdict judge(const std::vector<double>& ritz);
  /// Goes on where an iteration in another precision has come to.
  void follow(const StoppingRule& other) {
    previous_ = other.previous_;
    last_gain_ = other.last_gain_;
  }
  /// The basis has got more columns: gains do not compare with those before.
  void basis_grew() {
    previous_.clear();
    last_gain_ = -1;
  }

 private:
  struct Outside {
    double energy;
    bool bounds_gain;
  };
  Outside outside_of(const std::vector<double>& ritz, double inside) const;
  Index rank_for_wish(const std::vector<double>& ritz, double outside) const;
  double expected_gain(const std::vector<double>& ritz, Index rank, const Outside& outside);

  Truncation wish_;
  double norm_, excess_, eps_;
  Index smaller_;
  Basis basis_;
  std::vector<double> previous_;
  double last_gain_ = -1;
};

}  // namespace lowrank
