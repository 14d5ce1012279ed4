/** One file of a data set as its authors offer it. */
export interface SourceFile {
  name: string;
  /** MD5 in hex, as the source publishes it. */
  md5: string;
}

/** Where a data set is downloaded from. */
export interface Source {
  /** Address of the folder that holds the files. */
  url: string;
  files: readonly SourceFile[];
  /** What the files are; archives lose their outermost folder. */
  form: 'tar' | 'zip' | 'plain';
}

const idxFiles = (checksums: readonly [string, string, string, string]) =>
  ['train-images-idx3', 'train-labels-idx1', 't10k-images-idx3', 't10k-labels-idx1'].map((name, index) => ({
    name: `${name}-ubyte.gz`,
    md5: checksums[index],
  }));

/**
 * Official addresses. Checksums: CIFAR's from its home page, the others as torchvision and users of the archive have
 * them. MNIST's original host no longer serves the files; the address is the one that PyTorch keeps.
 */
export const sources = {
  cifar10: {
    url: 'https://www.cs.toronto.edu/~kriz/',
    files: [{ name: 'cifar-10-binary.tar.gz', md5: 'c32a1d4ab5d03f1284b67883e8d87530' }],
    form: 'tar',
  },
  cifar100: {
    url: 'https://www.cs.toronto.edu/~kriz/',
    files: [{ name: 'cifar-100-binary.tar.gz', md5: '03b5dce01913d631647c71ecec9e9cb8' }],
    form: 'tar',
  },
  mnist: {
    url: 'https://ossci-datasets.s3.amazonaws.com/mnist/',
    files: idxFiles([
      'f68b3c2dcbeaaa9fbdd348bbdeb94873',
      'd53e105ee54ea40749a09fcbcd1e9432',
      '9fb629c4189551a2d022fa330f9573f3',
      'ec29112dd5afa0611ce80d1b7f02629c',
    ]),
    form: 'plain',
  },
  'fashion-mnist': {
    url: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
    files: idxFiles([
      '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
      '25c81989df183df01b3e8a0aad5dffbe',
      'bef4ecab320f06d8554ea6380940ec79',
      'bb300cfdad3c16e7a12a480ee83cd310',
    ]),
    form: 'plain',
  },
  'tiny-imagenet': {
    url: 'http://cs231n.stanford.edu/',
    files: [{ name: 'tiny-imagenet-200.zip', md5: '90528d7ca1a48142e341f4ef8d21d0de' }],
    form: 'zip',
  },
} as const satisfies Record<string, Source>;

export type SourceName = keyof typeof sources;

/** Data sets that nobody may pass on, and how to come by them. */
export const notOffered: Readonly<Record<string, string>> = {
  digits: 'digits ships with pod-dist: there is nothing to fetch',
  facescrub:
    'FaceScrub is offered as a list of addresses, on request (vintage.winklerbros.net/facescrub.html): put its faces into train/<person>/ and test/<person>/, and give that folder as data.root',
  imagenet:
    'ImageNet is offered to registered users (image-net.org/download): put the classes you use into train/<class>/ and test/<class>/, and give that folder as data.root',
};
