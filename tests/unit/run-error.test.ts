import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classifyRunError } from '../../apps/worker/src/inference/engine/run-error.ts';

test('a lack of memory is known on the CPU, on CUDA and in JavaScript', () => {
  const messages = [
    'bfc_arena.cc:359 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool) ' +
      'Failed to allocate memory for requested buffer of size 1024',
    "Non-zero status code returned while running Add node. Name:'/key/Add' Status Message: " +
      'bfc_arena.cc:360 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, ' +
      'onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 201326592',
    'std::bad_alloc',
    'CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; file=f ; line=1 ; expr=cudaMalloc()',
    'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; hostname=h',
    'Array buffer allocation failed',
  ];
  for (const message of messages) assert.equal(classifyRunError(message), 'out_of_memory');
});

test('an error that leaves the device useless is told from one that the rows bring about', () => {
  const lost = 'CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=h';
  assert.equal(classifyRunError(lost), 'device_lost');
  assert.equal(classifyRunError('CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR'), 'device_lost');
  const rows = "Non-zero status code returned while running Gather node. Name:'' indices element";
  assert.equal(classifyRunError(rows), 'run_failed');
});
