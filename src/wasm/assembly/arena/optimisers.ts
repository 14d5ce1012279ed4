// Optimiser updates in place, on a shard: every argument but the numbers is an offset, `bytes` the shard's length.

/**
 * SGD: g = gradient * scale + decay * w; v = momentum * v + g; w -= rate * (nesterov ? g + momentum * v : v).
 * The definition of PyTorch's SGD without dampening.
 */
export function sgd(
  weights: usize,
  gradients: usize,
  velocity: usize,
  bytes: usize,
  rate: f32,
  momentum: f32,
  decay: f32,
  scale: f32,
  nesterov: bool,
): void {
  const end = weights + bytes;
  const wide = weights + (bytes & ~15);
  const rates = f32x4.splat(rate);
  const momenta = f32x4.splat(momentum);
  const decays = f32x4.splat(decay);
  const scales = f32x4.splat(scale);
  for (; weights < wide; weights += 16, gradients += 16, velocity += 16) {
    const weight = v128.load(weights);
    const gradient = f32x4.add(f32x4.mul(v128.load(gradients), scales), f32x4.mul(decays, weight));
    const speed = f32x4.add(f32x4.mul(momenta, v128.load(velocity)), gradient);
    const step = nesterov ? f32x4.add(gradient, f32x4.mul(momenta, speed)) : speed;
    v128.store(velocity, speed);
    v128.store(weights, f32x4.sub(weight, f32x4.mul(rates, step)));
  }
  for (; weights < end; weights += 4, gradients += 4, velocity += 4) {
    const weight = load<f32>(weights);
    const gradient: f32 = load<f32>(gradients) * scale + decay * weight;
    const speed: f32 = momentum * load<f32>(velocity) + gradient;
    const step: f32 = nesterov ? gradient + momentum * speed : speed;
    store<f32>(velocity, speed);
    store<f32>(weights, weight - rate * step);
  }
}

/** Moves averages towards weights: average += share * (weight - average). */
export function average(averages: usize, weights: usize, bytes: usize, share: f32): void {
  const end = averages + bytes;
  const wide = averages + (bytes & ~15);
  const shares = f32x4.splat(share);
  for (; averages < wide; averages += 16, weights += 16) {
    const before = v128.load(averages);
    const towards = f32x4.mul(shares, f32x4.sub(v128.load(weights), before));
    v128.store(averages, f32x4.add(before, towards));
  }
  for (; averages < end; averages += 4, weights += 4) {
    const before = load<f32>(averages);
    const towards: f32 = share * (load<f32>(weights) - before);
    store<f32>(averages, before + towards);
  }
}

/**
 * AdamW (arXiv 1711.05101): m = b1 m + (1 - b1) g; s = b2 s + (1 - b2) g^2;
 * w = w (1 - rate * decay) - stepSize * m / (sqrt(s) * denominatorScale + epsilon),
 * with stepSize = rate / (1 - b1^t) and denominatorScale = 1 / sqrt(1 - b2^t), which the caller computes.
 */
export function adamW(
  weights: usize,
  gradients: usize,
  mean: usize,
  square: usize,
  bytes: usize,
  stepSize: f32,
  denominatorScale: f32,
  beta1: f32,
  beta2: f32,
  complement1: f32,
  complement2: f32,
  epsilon: f32,
  shrink: f32,
  scale: f32,
): void {
  const end = weights + bytes;
  const wide = weights + (bytes & ~15);
  for (; weights < wide; weights += 16, gradients += 16, mean += 16, square += 16) {
    const gradient = f32x4.mul(v128.load(gradients), f32x4.splat(scale));
    const first = f32x4.add(
      f32x4.mul(f32x4.splat(beta1), v128.load(mean)),
      f32x4.mul(f32x4.splat(complement1), gradient),
    );
    const second = f32x4.add(
      f32x4.mul(f32x4.splat(beta2), v128.load(square)),
      f32x4.mul(f32x4.splat(complement2), f32x4.mul(gradient, gradient)),
    );
    const denominator = f32x4.add(
      f32x4.mul(f32x4.sqrt(second), f32x4.splat(denominatorScale)),
      f32x4.splat(epsilon),
    );
    const step = f32x4.mul(f32x4.splat(stepSize), f32x4.div(first, denominator));
    v128.store(mean, first);
    v128.store(square, second);
    v128.store(weights, f32x4.sub(f32x4.mul(v128.load(weights), f32x4.splat(shrink)), step));
  }
  for (; weights < end; weights += 4, gradients += 4, mean += 4, square += 4) {
    const gradient: f32 = load<f32>(gradients) * scale;
    const first: f32 = beta1 * load<f32>(mean) + complement1 * gradient;
    const second: f32 = beta2 * load<f32>(square) + complement2 * (gradient * gradient);
    const denominator: f32 = <f32>Math.sqrt(<f64>second) * denominatorScale + epsilon;
    store<f32>(mean, first);
    store<f32>(square, second);
    store<f32>(weights, load<f32>(weights) * shrink - stepSize * (first / denominator));
  }
}
