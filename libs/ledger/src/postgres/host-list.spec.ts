import { describe, expect, it } from 'vitest';
import { addressOfHost } from './address-hosts.js';
import { HostList, hostListAdvice, hostListRule } from './host-list.js';
import { parseAddress } from './parse-address.js';

const listOf = (url: string): HostList | undefined => HostList.of(parseAddress(url));
const ruleOf = (url: string): string | undefined => hostListRule(parseAddress(url));

describe('HostList', () => {
  it('is made for several hosts, and for one with a required property', () => {
    expect(listOf('postgres://h1/app')).toBeUndefined();
    expect(listOf('postgres:///app')).toBeUndefined();
    expect(listOf('postgres://h1/app?target_session_attrs=primary')?.wanted).toBe('primary');
    expect(listOf('postgres://h1,h2/app')).toMatchObject({ wanted: 'any' });
  });

  it('cycles in the order of the address, and stays with a working host', () => {
    const list = listOf('postgres://h1,h2,h3/app')!;
    const [first, second, third] = list.hosts as [never, never, never];
    list.refuse(first, new Error('away'));
    expect(list.next).toBe(second);
    list.refuse(second, new Error('away'));
    list.accept(third);
    expect(list.next).toBe(third);
    list.refuse(third, new Error('away'));
    expect(list.next).toBe(first);
    expect(list.refusals.map(([place]) => place)).toEqual(list.hosts);
  });

  it('moves on once if two connections fail at the same time', () => {
    const list = listOf('postgres://h1,h2,h3/app')!;
    const [first, second] = list.hosts as [never, never];
    list.refuse(first, new Error('away'));
    list.refuse(first, new Error('away'));
    expect(list.next).toBe(second);
  });

  it('finds the server of a failure, even if the pool wrapped it', () => {
    const list = listOf('postgres://h1,h2/app')!;
    const failure = new Error('away');
    list.refuse(list.next, failure);
    expect(list.placeOf(new Error('timeout', { cause: failure }))).toBe(list.hosts[0]);
    expect(list.placeOf(new Error('the pool is full'))).toBeUndefined();
    expect(list.placeOf(undefined)).toBeUndefined();
  });
});

describe('hostListRule', () => {
  it.each(['read-write', 'primary', 'any'])('takes target_session_attrs=%s', (wanted) => {
    expect(ruleOf(`postgres://h1,h2/app?target_session_attrs=${wanted}`)).toBeUndefined();
  });

  it.each(['read-only', 'standby', 'prefer-standby', 'master', ''])('refuses %j', (wanted) => {
    expect(ruleOf(`postgres://h1,h2/app?target_session_attrs=${wanted}`)).toContain(
      'a ledger writes',
    );
  });

  it('refuses to shuffle hosts, and explains the order', () => {
    expect(ruleOf('postgres://h1,h2/app?load_balance_hosts=random')).toContain('in the order');
    expect(ruleOf('postgres://h1,h2/app?load_balance_hosts=disable')).toBeUndefined();
  });

  it('refuses ports that do not match the hosts', () => {
    expect(ruleOf('postgres:///app?host=h1,h2,h3&port=1,2')).toContain('3 hosts and 2 ports');
    expect(ruleOf('postgres:///app?host=h1,h2,h3&port=1')).toBeUndefined();
  });
});

it('advises to state the required property', () => {
  expect(hostListAdvice(parseAddress('postgres://h1,h2/app'))).toContain('read-write');
  expect(hostListAdvice(parseAddress('postgres://h1/app'))).toBeUndefined();
  const given = 'postgres://h1,h2/app?target_session_attrs=any';
  expect(hostListAdvice(parseAddress(given))).toBeUndefined();
});

it.each([
  ['postgres://app:a,b@h1:1,[::1]:2/app?x=1', 'postgres://app:a,b@[::1]:2/app?x=1'],
  ['postgres://app@h1,%2Frun%2Fpg/app', 'postgres://app@%2Frun%2Fpg/app'],
  ['postgres:///app?host=h1,h2&port=1,2&x=1', 'postgres:///app?host=h2&port=2&x=1'],
])('leaves one host of %s', (url, expected) => {
  expect(addressOfHost(url, parseAddress(url).hosts[1]!)).toBe(expected);
});
