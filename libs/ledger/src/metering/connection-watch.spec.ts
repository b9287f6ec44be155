import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ConnectionWatch } from './connection-watch.js';

describe('ConnectionWatch', () => {
  it('calls back once when the connection closes, in the order of the watches', () => {
    const socket = new Socket();
    const told: string[] = [];
    for (const name of ['a', 'b', 'c']) ConnectionWatch.on(socket, () => told.push(name));
    socket.emit('close');
    socket.emit('close');
    expect(told).toEqual(['a', 'b', 'c']);
  });

  it.each([
    ['first', 0, ['b', 'c']],
    ['middle', 1, ['a', 'c']],
    ['last', 2, ['a', 'b']],
  ] as const)('does not call back the %s watch after its end', (_name, index, left) => {
    const socket = new Socket();
    const told: string[] = [];
    const watches = ['a', 'b', 'c'].map((name) =>
      ConnectionWatch.on(socket, () => told.push(name)),
    );
    watches[index]!.end();
    watches[index]!.end();
    socket.emit('close');
    expect(told).toEqual(left);
  });

  it('lets a callback end later watches', () => {
    const socket = new Socket();
    const told: string[] = [];
    const behind: ConnectionWatch[] = [];
    ConnectionWatch.on(socket, () => {
      told.push('a');
      for (const watch of behind) watch.end();
    });
    behind.push(ConnectionWatch.on(socket, () => told.push('b')));
    behind.push(ConnectionWatch.on(socket, () => told.push('c')));
    socket.emit('close');
    expect(told).toEqual(['a']);
  });

  it('starts again after the last watch has ended', () => {
    const socket = new Socket();
    const told: string[] = [];
    ConnectionWatch.on(socket, () => told.push('a')).end();
    ConnectionWatch.on(socket, () => told.push('b'));
    socket.emit('close');
    expect(told).toEqual(['b']);
  });

  it('adds one listener to a connection, however many requests wait on it', () => {
    const socket = new Socket();
    const before = socket.listenerCount('close');
    for (let i = 0; i < 1000; i++) ConnectionWatch.on(socket, () => undefined);
    expect(socket.listenerCount('close')).toBe(before + 1);
  });
});
