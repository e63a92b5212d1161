#pragma once

#include <cmath>
#include <lowrank/svd/svd.hpp>
#include <vector>

namespace lowrank {

/// The energy that may be left out for an error of rtol·‖A‖_F: a little less than (rtol·norm)², so that the error
/// measured afterwards, with its rounding, meets the wish too.
double allowed_energy(double rtol, double norm, double eps);

/// The least r with outside + Σ_{i>r} values² <= allowed, or one more than there are values.
Index least_rank(const std::vector<double>& values, double outside, double allowed);

/// What the Ritz values of an iteration are good to.
struct Precision {
  double absolute;      ///< each to this share of the largest
  double relative = 0;  ///< and to this share of itself

  /// Squares may differ by this without any change.
  double of_square(double value, double largest) const {
    return 8 * absolute * value * largest + 4 * relative * value * value;
  }
  double of_sum(double squares) const { return (16 * absolute + 4 * relative) * squares; }
  /// The relative error of an approximation up to which they say nothing of it.
  double reach() const { return std::sqrt(of_sum(1)); }
  /// Whether a singular value of a matrix of norm `norm` is hidden by what rounding did to the matrix.
  bool hides(double value, double norm) const { return relative > 0 && value < 16 * relative * norm; }
};

/// Decides from the Ritz values of one basis after the other how many triplets to keep and when the basis is good
/// enough.
///
/// Ritz values only grow towards the singular values, so what Σ_{i<=r} σ̂ᵢ² can still gain is what the error is above
/// the best possible one. It is bounded in two ways: by the energy outside the basis, ‖A‖² - ‖QᵀA‖² (Ky Fan), which
/// settles fast decaying spectra at once; else by extrapolating the gains of the last steps as a geometric series whose
/// ratio is taken no better than 1/2, 0.7 where a slower phase begins, and 0.85 where there is but one gain to tell by.
class StoppingRule {
 public:
  struct Verdict {
    Index rank = 0;        ///< triplets to keep
    double error = 0;      ///< ‖A - what is kept‖_F, as far as the Ritz values tell
    bool told = false;     ///< they tell it: it is well above their precision
    bool met = false;      ///< the basis meets the wish
    bool settled = false;  ///< and is within the excess of the best
    bool hidden = false;   ///< the error, or the last triplet to keep, is lost in the precision
  };

  /// How the basis came about: in one of subspace iteration the last Ritz value is about the largest singular value
  /// outside; the last ones of a Krylov basis say nothing of those.
  enum class Basis { subspace, krylov };

  /// `norm` is ‖A‖_F, or negative when unknown (rank wishes only); `excess` how far the error may be above the
  /// best one, relatively; `smaller` is min(rows, cols).
  StoppingRule(Truncation wish, double norm, double excess, Precision precision, Index smaller,
               Basis basis = Basis::subspace);

  /// `ritz` in falling order, of the present basis.
  Verdict judge(const std::vector<double>& ritz);
  /// Goes on where an iteration in another precision has come to.
  void follow(const StoppingRule& other) {
    previous_ = other.previous_;
    older_ = other.older_;
    previous_precision_ = other.precision_;
    last_gain_ = other.last_gain_;
  }
  /// Of the Ritz values from now on.
  void set_precision(Precision precision) { precision_ = precision; }
  /// The basis has got more columns: gains do not compare with those before.
  void basis_grew() {
    previous_.clear();
    older_.clear();
    last_gain_ = -1;
  }

 private:
  struct Outside {
    double energy;
    bool told;
    bool bounds_gain;
  };
  Outside outside_of(const std::vector<double>& ritz, double inside) const;
  Index rank_for_wish(const std::vector<double>& ritz, double outside) const;
  double expected_gain(const std::vector<double>& ritz, Index rank, const Outside& outside);

  Truncation wish_;
  double norm_, excess_;
  Precision precision_, previous_precision_;
  Index smaller_;
  Basis basis_;
  std::vector<double> previous_, older_;  // of the last half-step and the one before
  double last_gain_ = -1;
};

}  // namespace lowrank
