//! Gradient checks shared by the tests of all blocks.
#![allow(clippy::unwrap_used)]

use candle_core::{DType, Device, Result, Tensor, Var};

use crate::random::SeededRng;

/// Returns reproducible normal numbers in f64.
pub fn normal(name: &str, shape: &[usize]) -> Tensor {
    let mut generator = SeededRng::new(11, name);
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| generator.normal()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// A scalar that weighs every output differently, so that no error cancels.
fn scalar(output: &Tensor) -> Tensor {
    let weights = normal("weights", output.dims()).to_dtype(output.dtype()).unwrap();
    (output * weights).unwrap().sum_all().unwrap()
}

fn gradients(inputs: &[Tensor], block: impl Fn(&[Tensor]) -> Result<Tensor>) -> (Tensor, Vec<Tensor>) {
    let variables: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    let tensors: Vec<Tensor> = variables.iter().map(|variable| variable.as_tensor().clone()).collect();
    let output = block(&tensors).unwrap();
    let store = scalar(&output).backward().unwrap();
    let gradients = tensors.iter().map(|tensor| store.get(tensor).unwrap().clone()).collect();
    (output.detach(), gradients)
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Compares the backward in f64 with central differences for every element of every input.
pub fn check_against_differences(inputs: &[Tensor], block: impl Fn(&[Tensor]) -> Result<Tensor>) {
    const STEP: f64 = 1e-5;
    let (_, found) = gradients(inputs, &block);
    for (index, input) in inputs.iter().enumerate() {
        let values = numbers(input);
        let found = numbers(&found[index]);
        for element in 0..values.len() {
            let loss_at = |shift: f64| {
                let mut moved = values.clone();
                moved[element] += shift;
                let mut tensors = inputs.to_vec();
                tensors[index] = Tensor::from_vec(moved, input.shape(), &Device::Cpu).unwrap();
                scalar(&block(&tensors).unwrap()).to_scalar::<f64>().unwrap()
            };
            let expected = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
            let difference = (expected - found[element]).abs();
            assert!(difference < 1e-7 * (1.0 + expected.abs()), "input {index}, element {element}: {difference}");
        }
    }
}

/// Compares output and gradients of the native form in f32 with the composed form in f64, within 2e-5 of the largest.
pub fn check_native(
    inputs: &[Tensor],
    native: impl Fn(&[Tensor]) -> Result<Tensor>,
    composed: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let single: Vec<Tensor> = inputs.iter().map(|input| input.to_dtype(DType::F32).unwrap()).collect();
    let (found_output, found_gradients) = gradients(&single, native);
    let (output, expected_gradients) = gradients(inputs, composed);
    let found = std::iter::once(&found_output).chain(&found_gradients);
    let expected = std::iter::once(&output).chain(&expected_gradients);
    for (index, (found, expected)) in found.zip(expected).enumerate() {
        assert_eq!(found.dims(), expected.dims());
        let (found, expected) = (numbers(found), numbers(expected));
        let largest = expected.iter().fold(1e-3, |largest: f64, value| largest.max(value.abs()));
        for (left, right) in found.iter().zip(&expected) {
            let relative = (left - right).abs() / largest;
            assert!(relative < 2e-5, "tensor {index} (0 is the output): {left} instead of {right}");
        }
    }
}

/// Compares output and gradients in bf16 with those in f64 of the same rounded inputs, within 1.5 % of the largest.
///
/// Sums over some hundred rows in bf16 itself would miss that.
pub fn check_half(inputs: &[Tensor], block: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let half: Vec<Tensor> = inputs.iter().map(|input| input.to_dtype(DType::BF16).unwrap()).collect();
    let double: Vec<Tensor> = half.iter().map(|input| input.to_dtype(DType::F64).unwrap()).collect();
    let (found_output, found_gradients) = gradients(&half, &block);
    let (output, expected_gradients) = gradients(&double, &block);
    let found = std::iter::once(&found_output).chain(&found_gradients);
    let expected = std::iter::once(&output).chain(&expected_gradients);
    for (index, (found, expected)) in found.zip(expected).enumerate() {
        assert_eq!(found.dtype(), DType::BF16);
        let (found, expected) = (numbers(found), numbers(expected));
        let largest = expected.iter().fold(1e-3, |largest: f64, value| largest.max(value.abs()));
        for (left, right) in found.iter().zip(&expected) {
            let relative = (left - right).abs() / largest;
            assert!(relative < 1.5e-2, "tensor {index} (0 is the output): {left} instead of {right}");
        }
    }
}
