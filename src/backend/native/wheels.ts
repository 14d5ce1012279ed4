/** A wheel that set-up may take, as the index had it when it was pinned. */
export interface PinnedWheel {
  file: string;
  /** Requirement for pip, such as `tensorflow-cpu==2.21.0`. */
  requirement: string;
  bytes: number;
  sha256: string;
}

/** Wheels of TensorFlow, and of CUDA's libraries for it; written by scripts/pin-wheels.js. */
export const wheels: Record<'cpu' | 'cuda', readonly PinnedWheel[]> = {
  cpu: [
    {
      file: 'tensorflow_cpu-2.21.0-cp310-cp310-manylinux_2_27_x86_64.whl',
      requirement: 'tensorflow-cpu==2.21.0',
      bytes: 273601549,
      sha256: 'd143e92f5c0661cdfa26eaca8f73cd2efd0ec53a68af8dec82f584ba8eb14b83',
    },
    {
      file: 'tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
      requirement: 'tensorflow-cpu==2.21.0',
      bytes: 273829956,
      sha256: '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c',
    },
    {
      file: 'tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl',
      requirement: 'tensorflow-cpu==2.21.0',
      bytes: 274000871,
      sha256: 'dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb',
    },
    {
      file: 'tensorflow_cpu-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl',
      requirement: 'tensorflow-cpu==2.21.0',
      bytes: 274271560,
      sha256: '05af7c26d35f4de910b5598c7b507e3981831a7b0f47fed9a405d995d51d7793',
    },
  ],
  cuda: [
    {
      file: 'tensorflow-2.21.0-cp310-cp310-manylinux_2_27_x86_64.whl',
      requirement: 'tensorflow==2.21.0',
      bytes: 572211261,
      sha256: '77c6f298e695ea1d283cdd7d30f8d97530cc6e92c1395a9ddbab9771c99233a4',
    },
    {
      file: 'tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl',
      requirement: 'tensorflow==2.21.0',
      bytes: 572440367,
      sha256: '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124',
    },
    {
      file: 'tensorflow-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl',
      requirement: 'tensorflow==2.21.0',
      bytes: 572611111,
      sha256: 'b3b95643c4e70eb925839938fb35cbe142f317ec84af6844ee61513713bb13c0',
    },
    {
      file: 'tensorflow-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl',
      requirement: 'tensorflow==2.21.0',
      bytes: 572881074,
      sha256: 'e9d8da8dcab9650efb45f032ba70af2f016f907e6e0c6bda29dd101bba945406',
    },
    {
      file: 'nvidia_cublas_cu12-12.9.3.13-py3-none-manylinux_2_27_x86_64.whl',
      requirement: 'nvidia-cublas-cu12==12.9.3.13',
      bytes: 581217458,
      sha256: 'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72',
    },
    {
      file: 'nvidia_cuda_cupti_cu12-12.8.90-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      requirement: 'nvidia-cuda-cupti-cu12==12.8.90',
      bytes: 10248621,
      sha256: 'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182',
    },
    {
      file: 'nvidia_cuda_nvcc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
      requirement: 'nvidia-cuda-nvcc-cu12==12.9.86',
      bytes: 40546229,
      sha256: '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0',
    },
    {
      file: 'nvidia_cuda_nvrtc_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
      requirement: 'nvidia-cuda-nvrtc-cu12==12.9.86',
      bytes: 89568129,
      sha256: '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4',
    },
    {
      file: 'nvidia_cuda_runtime_cu12-12.9.79-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      requirement: 'nvidia-cuda-runtime-cu12==12.9.79',
      bytes: 3493179,
      sha256: '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3',
    },
    {
      file: 'nvidia_cudnn_cu12-9.28.0.42-py3-none-manylinux_2_27_x86_64.whl',
      requirement: 'nvidia-cudnn-cu12==9.28.0.42',
      bytes: 716538495,
      sha256: '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375',
    },
    {
      file: 'nvidia_cufft_cu12-11.4.1.4-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      requirement: 'nvidia-cufft-cu12==11.4.1.4',
      bytes: 200877592,
      sha256: 'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28',
    },
    {
      file: 'nvidia_curand_cu12-10.3.10.19-py3-none-manylinux_2_27_x86_64.whl',
      requirement: 'nvidia-curand-cu12==10.3.10.19',
      bytes: 68295626,
      sha256: '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e',
    },
    {
      file: 'nvidia_cusolver_cu12-11.7.5.82-py3-none-manylinux_2_27_x86_64.whl',
      requirement: 'nvidia-cusolver-cu12==11.7.5.82',
      bytes: 338117415,
      sha256: '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88',
    },
    {
      file: 'nvidia_cusparse_cu12-12.5.10.65-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
      requirement: 'nvidia-cusparse-cu12==12.5.10.65',
      bytes: 366465088,
      sha256: '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78',
    },
    {
      file: 'nvidia_nvjitlink_cu12-12.9.86-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
      requirement: 'nvidia-nvjitlink-cu12==12.9.86',
      bytes: 39748338,
      sha256: 'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9',
    },
  ],
};
