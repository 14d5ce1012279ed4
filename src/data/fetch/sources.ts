/** One file of a data set as its authors offer it. */
export interface SourceFile {
  name: string;
  bytes: number;
  /** SHA-256 in hex. */
  sha256: string;
}

/** Where a data set is downloaded from. */
export interface Source {
  /** Address of the folder that holds the files. */
  url: string;
  files: readonly SourceFile[];
  /** Form of the files; the outermost folder of an archive is dropped. */
  form: 'tar' | 'zip' | 'plain';
}

const idxNames = ['train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'];
const idxFiles = (files: readonly Omit<SourceFile, 'name'>[]) =>
  files.map((file, index) => ({ name: `${idxNames[index]}-ubyte.gz`, ...file }));

/**
 * Official addresses, with the size and SHA-256 of the files that they have offered for years: of CIFAR, MNIST and
 * Fashion-MNIST as TensorFlow Datasets has them (its url_checksums/), of Tiny ImageNet as projects that use it record
 * them. MNIST's original host no longer serves the files; the address is the one that PyTorch keeps. Fashion-MNIST's
 * is http, the only protocol of its host; the SHA-256 verifies the file.
 */
export const sources = {
  cifar10: {
    url: 'https://www.cs.toronto.edu/~kriz/',
    files: [
      {
        name: 'cifar-10-binary.tar.gz',
        bytes: 170_052_171,
        sha256: 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd',
      },
    ],
    form: 'tar',
  },
  cifar100: {
    url: 'https://www.cs.toronto.edu/~kriz/',
    files: [
      {
        name: 'cifar-100-binary.tar.gz',
        bytes: 168_513_733,
        sha256: '58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec',
      },
    ],
    form: 'tar',
  },
  mnist: {
    url: 'https://ossci-datasets.s3.amazonaws.com/mnist/',
    files: idxFiles([
      { bytes: 9_912_422, sha256: '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609' },
      { bytes: 28_881, sha256: '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c' },
      { bytes: 1_648_877, sha256: '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6' },
      { bytes: 4542, sha256: 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6' },
    ]),
    form: 'plain',
  },
  'fashion-mnist': {
    url: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
    files: idxFiles([
      { bytes: 26_421_880, sha256: '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84' },
      { bytes: 29_515, sha256: 'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845' },
      { bytes: 4_422_102, sha256: '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073' },
      { bytes: 5148, sha256: '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5' },
    ]),
    form: 'plain',
  },
  'tiny-imagenet': {
    url: 'https://cs231n.stanford.edu/',
    files: [
      {
        name: 'tiny-imagenet-200.zip',
        bytes: 248_100_043,
        sha256: '6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821',
      },
    ],
    form: 'zip',
  },
} as const satisfies Record<string, Source>;

export type SourceName = keyof typeof sources;

/** Data sets that nobody may pass on, and how to obtain them. */
export const notOffered: Readonly<Record<string, string>> = {
  digits: 'digits ships with pod-dist: there is nothing to fetch',
  facescrub:
    'FaceScrub is offered as a list of addresses, on request (vintage.winklerbros.net/facescrub.html): put its faces into train/<person>/ and test/<person>/, and give that folder as data.root',
  imagenet:
    'ImageNet is offered to registered users (image-net.org/download): put the classes you use into train/<class>/ and test/<class>/, and give that folder as data.root',
};
