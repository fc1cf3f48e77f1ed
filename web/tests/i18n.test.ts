import { describe, expect, it } from 'vitest';
import { listOf, translatorOf } from '../src/i18n';

describe('the words', () => {
  const zh = translatorOf('zh');
  it('are found by their path and filled with their values', () => {
    expect(zh('nav.consults')).toBe('会诊工作台');
    expect(zh('common.requiredOf', { what: '理由' })).toBe('请填写：理由');
    expect(zh('common.requiredOf', { what: '$&{{what}}' })).toBe('请填写：$&{{what}}');
    expect(zh('common.requiredOf', { what: undefined })).toBe('请填写：');
  });

  it('say the default, or the key, where there is none; a branch is no word', () => {
    expect(zh('did.no-such-step', { defaultValue: '其他' })).toBe('其他');
    expect(zh('no.such.key')).toBe('no.such.key');
    expect(zh('common')).toBe('common');
    expect(zh('common.constructor')).toBe('common.constructor');
  });

  it('are Chinese where the English ones have not come, and where what is stored asks for it', () => {
    expect(translatorOf('en')('nav.consults')).toBe('会诊工作台');
    expect(translatorOf('en')('nav.consults', { lng: 'zh' })).toBe('会诊工作台');
  });

  it('are a list where several stand under one key', () => {
    expect(listOf('request.samples', 'zh').length).toBeGreaterThan(2);
    expect(listOf('nav.consults', 'zh')).toEqual([]);
  });
});
