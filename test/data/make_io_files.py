"""Makes the io_* files of this folder with NumPy, SciPy and safetensors: python3 make_io_files.py"""
import gzip
import os
import struct

import numpy as np
import scipy.io
import scipy.sparse
from safetensors.numpy import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))

# Entry (i, j) of every matrix is i + j / 4 - 1: exact in all floating types.
A = np.arange(4)[:, None] + np.arange(3)[None, :] / 4 - 1


def npy(name, array, version=None):
    with open(name, 'wb') as file:
        np.lib.format.write_array(file, array, version=version)


for dtype in ('f8', 'f4', 'f2'):
    npy(f'io_{dtype}_c.npy', A.astype('<' + dtype))
    npy(f'io_{dtype}_fortran.npy', np.asfortranarray(A.astype('<' + dtype)))
npy('io_v2.npy', A, (2, 0))
npy('io_v3.npy', A, (3, 0))
npy('io_vector.npy', A[:, 1].copy())
npy('io_scalar.npy', np.array(2.5))
npy('io_empty.npy', np.zeros((0, 5)))
whole = np.arange(12).reshape(4, 3)
for dtype in ('i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8'):
    npy(f'io_{dtype}.npy', whole.astype('<' + dtype))
npy('io_bool.npy', whole % 2 == 1)
npy('io_i8_large.npy', np.array([[2**53 + 1, 2**53], [-2**60 - 1, 7]]))
npy('io_big_endian.npy', A.astype('>f4'))
npy('io_complex.npy', A.astype('c16'))
npy('io_object.npy', np.array([[1, None]], dtype=object))
npy('io_structured.npy', np.zeros(3, dtype=[('a', '<f4'), ('b', '<i4')]))
npy('io_string.npy', np.array(['a', 'bc']))
npy('io_time.npy', np.array(['2020-01-01'], dtype='M8[D]'))
npy('io_cube.npy', np.zeros((2, 3, 4)))
npy('io_long_double.npy', A.astype(np.longdouble))

np.savez('io_stored.npz', W=A, single=A.astype('f4'))
np.savez_compressed('io_deflated.npz', W=np.asfortranarray(A), vector=A[:, 1])
np.savez('io_one.npz', A)

S = scipy.sparse.coo_array(([1.5, -2.0, 3.25, 4.0], ([0, 3, 1, 3], [2, 0, 1, 4])), shape=(4, 5))
scipy.io.mmwrite('io_sparse.mtx', S)
with open('io_sparse.mtx', 'rb') as plain, gzip.GzipFile('io_sparse.mtx.gz', 'wb', mtime=0) as packed:
    packed.write(plain.read())
scipy.io.mmwrite('io_array.mtx', A)
Y = A[:3] + A[:3].T
scipy.io.mmwrite('io_symmetric.mtx', scipy.sparse.coo_array(Y), symmetry='symmetric')
scipy.io.mmwrite('io_symmetric_array.mtx', Y, symmetry='symmetric')
K = A[:3] - A[:3].T
scipy.io.mmwrite('io_skew.mtx', scipy.sparse.coo_array(K), symmetry='skew-symmetric')
scipy.io.mmwrite('io_skew_array.mtx', K, symmetry='skew-symmetric')
scipy.io.mmwrite('io_pattern.mtx', S, field='pattern')
scipy.io.mmwrite('io_integer.mtx', scipy.sparse.coo_array(whole))

# SciPy's own npz: by rows, by columns, by entries (one of them in two parts), and a layout that is not read.
scipy.sparse.save_npz('io_scipy_csr.npz', scipy.sparse.csr_matrix(S), compressed=False)
scipy.sparse.save_npz('io_scipy_csc.npz', scipy.sparse.csc_array(S.astype('f4')), compressed=True)
parts = scipy.sparse.coo_array(([1, -2, 3, 4, 1], ([0, 3, 1, 3, 1], [2, 0, 1, 4, 1])), shape=(4, 5))
scipy.sparse.save_npz('io_scipy_coo.npz', parts)
scipy.sparse.save_npz('io_scipy_dia.npz', scipy.sparse.dia_array(S))
unsorted = scipy.sparse.csr_array(([4.0, -2.0, 1.5, 3.25], [4, 0, 2, 1], [0, 0, 0, 0, 4]), shape=(4, 5))
scipy.sparse.save_npz('io_scipy_unsorted.npz', unsorted)

np.savetxt('io_comma.csv', A, delimiter=',')
np.savetxt('io_blank.txt', A)
np.savetxt('io_header.tsv', A, delimiter='\t', header='a\tb\tc', comments='')

# A bfloat16 is the upper half of a float.
bf16 = (A.astype('f4').view('u4') >> 16).astype('<u2')
save_file({'F64': A, 'F32': A.astype('f4'), 'F16': A.astype('f2'), 'vector': A[:, 1].astype('f4'), 'scalar': np.array(2.5),
           'I64': whole, 'BOOL': whole % 2 == 1, 'empty': np.zeros((0, 3), 'f4'), 'cube': np.zeros((2, 2, 2), 'f4')},
          'io_tensors.safetensors', metadata={'format': 'np', 'note': 'two words'})
header = b'{"W":{"dtype":"BF16","shape":[4,3],"data_offsets":[0,24]}}'
header += b' ' * (-len(header) % 8)
with open('io_bf16.safetensors', 'wb') as file:
    file.write(struct.pack('<Q', len(header)) + header + bf16.tobytes())
with open('io_model.safetensors.index.json', 'w') as file:
    file.write('{"metadata": {"total_size": 24}, "weight_map": {"W": "io_bf16.safetensors", "lost": "io_missing.safetensors"}}\n')

with open('io_images.idx', 'wb') as file:
    file.write(struct.pack('>IIII', 2051, 3, 2, 2) + bytes(range(12)))
with open('io_labels.idx', 'wb') as file:
    file.write(struct.pack('>II', 2049, 3) + bytes([7, 0, 9]))
for name in ('io_images.idx', 'io_labels.idx'):
    with open(name, 'rb') as plain, gzip.GzipFile(name + '.gz', 'wb', mtime=0) as packed:
        packed.write(plain.read())
