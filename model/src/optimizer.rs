//! AdamW with decoupled weight decay and moments in f32, and clipping by the global norm.
//!
//! Every parameter decays, biases and norms too, as in PyTorch's defaults.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor, Var};
use rayon::prelude::*;

use crate::error::{ModelError, Result};

/// Holds AdamW's numbers; the learning rate comes with each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of a parameter that decays per step and unit of learning rate.
    pub weight_decay: f64,
}

/// Holds the moments of every parameter that was updated, by name.
#[derive(Debug, Clone)]
pub struct AdamW {
    config: AdamWConfig,
    steps: u64,
    moments: BTreeMap<String, [Tensor; 2]>,
}

const STEPS: &str = "steps";

impl AdamW {
    /// Starts without state.
    pub fn new(config: AdamWConfig) -> Self {
        Self { config, steps: 0, moments: BTreeMap::new() }
    }

    /// Returns how many updates were made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Updates each parameter that has a gradient; gradients of unknown names are an error.
    ///
    /// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p(1 − ηλ) − η · m/(1−β₁ᵗ) / (√(v/(1−β₂ᵗ)) + ε).
    ///
    /// # Errors
    /// A gradient has no parameter, or a shape differs.
    pub fn step(
        &mut self,
        parameters: &BTreeMap<String, Var>,
        gradients: &BTreeMap<String, Tensor>,
        learning_rate: f64,
    ) -> Result<()> {
        let steps = self.steps + 1;
        let update = Update::new(self.config, steps, learning_rate);
        let updated: Vec<(&String, [Tensor; 3])> = gradients
            .par_iter()
            .map(|(name, gradient)| {
                let Some(parameter) = parameters.get(name) else {
                    return Err(ModelError::Input(format!("gradient {name} belongs to no parameter")));
                };
                let moments = match self.moments.get(name) {
                    Some(moments) => moments.clone(),
                    None => {
                        let zeros = gradient.zeros_like()?.to_dtype(DType::F32)?;
                        [zeros.clone(), zeros]
                    }
                };
                Ok((name, update.apply(parameter, gradient, &moments)?))
            })
            .collect::<Result<_>>()?;
        for (name, [value, first, second]) in updated {
            if let Some(parameter) = parameters.get(name) {
                parameter.set(&value)?;
            }
            self.moments.insert(name.clone(), [first, second]);
        }
        self.steps = steps;
        Ok(())
    }

    /// Returns the state as tensors: `steps`, and `exp_avg.NAME` and `exp_avg_sq.NAME` in f32 for each parameter.
    ///
    /// # Errors
    /// The device refuses memory.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut state = BTreeMap::new();
        for (name, [first, second]) in &self.moments {
            state.insert(format!("exp_avg.{name}"), first.clone());
            state.insert(format!("exp_avg_sq.{name}"), second.clone());
        }
        let steps = i64::try_from(self.steps).unwrap_or(i64::MAX);
        state.insert(STEPS.to_owned(), Tensor::new(&[steps], &candle_core::Device::Cpu)?);
        Ok(state)
    }

    /// Continues from what [`Self::state`] returned.
    ///
    /// # Errors
    /// The count of steps or one of a parameter's two moments is missing, or a tensor has an unknown name.
    pub fn from_state(config: AdamWConfig, mut state: BTreeMap<String, Tensor>) -> Result<Self> {
        let missing = |name: &str| ModelError::Checkpoint(format!("optimiser state lacks {name}"));
        let steps = state.remove(STEPS).ok_or_else(|| missing(STEPS))?;
        let steps = steps.to_dtype(DType::I64)?.flatten_all()?.to_vec1::<i64>()?;
        let steps = steps.first().copied().and_then(|steps| u64::try_from(steps).ok());
        let mut moments = BTreeMap::new();
        let names: Vec<String> =
            state.keys().filter_map(|key| key.strip_prefix("exp_avg.")).map(str::to_owned).collect();
        for name in names {
            let mut take = |key: String| state.remove(&key).ok_or_else(|| missing(&key));
            let first = take(format!("exp_avg.{name}"))?;
            let second = take(format!("exp_avg_sq.{name}"))?;
            moments.insert(name, [first, second]);
        }
        if let Some(name) = state.keys().next() {
            return Err(ModelError::Checkpoint(format!("optimiser state has an unknown tensor {name}")));
        }
        Ok(Self { config, steps: steps.ok_or_else(|| missing(STEPS))?, moments })
    }
}

/// One step's constants, with the bias corrections folded in.
struct Update {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    keep: f32,
    rate: f32,
    second_correction: f32,
}

impl Update {
    fn new(config: AdamWConfig, steps: u64, learning_rate: f64) -> Self {
        let steps = steps as f64;
        Self {
            beta1: config.beta1 as f32,
            beta2: config.beta2 as f32,
            epsilon: config.epsilon as f32,
            keep: (1.0 - learning_rate * config.weight_decay) as f32,
            rate: (learning_rate / (1.0 - config.beta1.powf(steps))) as f32,
            second_correction: (1.0 / (1.0 - config.beta2.powf(steps)).sqrt()) as f32,
        }
    }

    /// Returns the new parameter, first and second moment.
    fn apply(&self, parameter: &Var, gradient: &Tensor, moments: &[Tensor; 2]) -> Result<[Tensor; 3]> {
        let shape = parameter.shape();
        if gradient.shape() != shape || moments.iter().any(|moment| moment.shape() != shape) {
            let found = gradient.shape();
            return Err(ModelError::Input(format!("gradient or moments {found:?} do not fit a parameter {shape:?}")));
        }
        let device = parameter.device();
        let numbers =
            |tensor: &Tensor| -> Result<Vec<f32>> { Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?) };
        let mut values = numbers(parameter.as_tensor())?;
        let mut first = numbers(&moments[0])?;
        let mut second = numbers(&moments[1])?;
        let gradient = numbers(gradient)?;
        let inputs = values.iter_mut().zip(&mut first).zip(&mut second).zip(&gradient);
        for (((value, m), v), g) in inputs {
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            *value = self.keep * *value - self.rate * *m / (v.sqrt() * self.second_correction + self.epsilon);
        }
        let tensor = |values: Vec<f32>| Tensor::from_vec(values, shape, device);
        Ok([tensor(values)?.to_dtype(parameter.dtype())?, tensor(first)?, tensor(second)?])
    }
}

/// Computes the norm of all gradients together, summed in f64 in the names' order.
///
/// # Errors
/// A tensor operation fails.
pub fn global_norm(gradients: &BTreeMap<String, Tensor>) -> Result<f64> {
    let mut sum = 0.0;
    for gradient in gradients.values() {
        let values = gradient.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        sum += values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum::<f64>();
    }
    Ok(sum.sqrt())
}

/// Scales all gradients so that their norm does not exceed `max_norm`; returns the norm before.
///
/// # Errors
/// A tensor operation fails.
pub fn clip_by_global_norm(gradients: &mut BTreeMap<String, Tensor>, max_norm: f64) -> Result<f64> {
    let norm = global_norm(gradients)?;
    if norm.is_finite() && norm > max_norm {
        for gradient in gradients.values_mut() {
            *gradient = (&*gradient * (max_norm / norm))?;
        }
    }
    Ok(norm)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;

    use super::*;

    const CONFIG: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1 };

    fn named(name: &str, values: &[f32]) -> BTreeMap<String, Tensor> {
        BTreeMap::from([(name.to_owned(), Tensor::new(values, &Device::Cpu).unwrap())])
    }

    fn parameters(values: &[f32]) -> BTreeMap<String, Var> {
        BTreeMap::from([("w".to_owned(), Var::new(values, &Device::Cpu).unwrap())])
    }

    fn gradient_at(step: i32) -> [f32; 3] {
        [0.3, -0.01, 2.0].map(|g: f32| g * (1.0 + 0.5 * (step as f32).sin()))
    }

    #[test]
    fn twenty_steps_equal_the_formula_in_double_precision() {
        let start = [1.0f32, -0.5, 0.25];
        let parameters = parameters(&start);
        let mut optimizer = AdamW::new(CONFIG);
        let mut expected = start.map(f64::from);
        let (mut m, mut v) = ([0.0f64; 3], [0.0f64; 3]);
        for step in 1..=20 {
            let rate = 1e-2 / f64::from(step);
            optimizer.step(&parameters, &named("w", &gradient_at(step)), rate).unwrap();
            for i in 0..3 {
                let g = f64::from(gradient_at(step)[i]);
                expected[i] -= rate * 0.1 * expected[i];
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.95 * v[i] + 0.05 * g * g;
                let (m_hat, v_hat) = (m[i] / (1.0 - 0.9f64.powi(step)), v[i] / (1.0 - 0.95f64.powi(step)));
                expected[i] -= rate * m_hat / (v_hat.sqrt() + 1e-8);
            }
        }
        let found = parameters["w"].to_vec1::<f32>().unwrap();
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
    }

    #[test]
    fn going_on_from_a_saved_state_equals_never_stopping() {
        let (through, resumed) = (parameters(&[1.0, 2.0, 3.0]), parameters(&[1.0, 2.0, 3.0]));
        let (mut first, mut second) = (AdamW::new(CONFIG), AdamW::new(CONFIG));
        for step in 0..6 {
            if step == 3 {
                second = AdamW::from_state(CONFIG, second.state().unwrap()).unwrap();
            }
            first.step(&through, &named("w", &gradient_at(step)), 0.01).unwrap();
            second.step(&resumed, &named("w", &gradient_at(step)), 0.01).unwrap();
        }
        assert_eq!(through["w"].to_vec1::<f32>().unwrap(), resumed["w"].to_vec1::<f32>().unwrap());
        assert_eq!(second.steps(), 6);
    }

    #[test]
    fn clipping_keeps_the_direction_and_limits_the_norm() {
        let mut gradients = named("a", &[3.0]);
        gradients.extend(named("b", &[4.0]));
        assert_eq!(clip_by_global_norm(&mut gradients, 10.0).unwrap(), 5.0);
        assert_eq!(clip_by_global_norm(&mut gradients, 1.0).unwrap(), 5.0);
        assert!((global_norm(&gradients).unwrap() - 1.0).abs() < 1e-6);
        assert!((gradients["a"].to_vec1::<f32>().unwrap()[0] - 0.6).abs() < 1e-6);
    }

    #[test]
    fn a_state_that_lacks_a_moment_and_a_stray_gradient_are_refused() {
        let mut optimizer = AdamW::new(CONFIG);
        let values = parameters(&[1.0]);
        assert!(optimizer.step(&values, &named("x", &[1.0]), 0.1).is_err());
        optimizer.step(&values, &named("w", &[1.0]), 0.1).unwrap();
        let mut state = optimizer.state().unwrap();
        state.remove("exp_avg_sq.w");
        assert!(AdamW::from_state(CONFIG, state).unwrap_err().to_string().contains("exp_avg_sq.w"));
    }
}
