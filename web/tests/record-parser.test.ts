import { describe, expect, it } from 'vitest';
import { idNumberIsValid, isoDate, parseRecord, RECORD_CHARACTERS_MAX, summaryOf } from '../src/request/record-parser';

const TODAY = '2026-11-22';

const RECORD = `              入 院 记 录
姓 名：冉山茶        性 别：女        年 龄：５８岁        民族：土家族
科 别：呼吸内科      床 号：12        住院号：ZY20261120
身份证号：660102196803051222        联系电话：15400001234
入院日期：2026年11月20日 10:30
主 诉：咳嗽、咳痰10天，加重伴气促3天。
现病史：患者10天前受凉后出现咳嗽、咳黄痰，最高体温39.1℃。
3天前活动后气促加重，同事姓名：李四 陪同就诊。
既往史：高血压病史5年。
个人史：无烟酒嗜好。
体格检查：T 38.6℃ P 108次/分 R 28次/分 BP 138/84mmHg SpO2 90%（吸空气）
双肺可闻及湿啰音。
辅助检查：血常规（2026-11-20）：WBC 11.2×10^9/L，CRP 96 mg/L。
胸部CT示双肺多发磨玻璃影。
初步诊断：1.重症肺炎
2.I型呼吸衰竭
3.高血压病2级
                         医师签名：彭医生`;

describe('parseRecord', () => {
  const { fields, warnings } = parseRecord(RECORD, TODAY);

  it('finds who it is about', () => {
    expect(fields.name).toBe('冉山茶');
    expect(fields.gender).toBe('female');
    expect(fields.age).toBe('58岁');
    expect(fields.inpatientNo).toBe('ZY20261120');
    expect(fields.phone).toBe('15400001234');
    expect(fields.department).toBe('呼吸内科');
    expect(fields.bed).toBe('12');
    expect(fields.admittedOn).toBe('2026-11-20');
  });

  it('takes the date of birth from the ID number', () => {
    expect(fields.idNumber).toBe('660102196803051222');
    expect(fields.birthDate).toBe('1968-03-05');
  });

  it('cuts the long parts at their headings, spaced or not', () => {
    expect(fields.chiefComplaint).toBe('咳嗽、咳痰10天，加重伴气促3天。');
    expect(fields.presentIllness).toContain('3天前活动后气促加重');
    expect(fields.presentIllness).not.toContain('高血压病史');
    expect(fields.pastHistory).toBe('高血压病史5年。');
    expect(fields.exam).toContain('SpO2 90%');
    expect(fields.exam).toContain('湿啰音');
    expect(fields.tests).toMatch(/CRP 96[\s\S]*磨玻璃影/);
    expect(fields.diagnosis).toBe('1.重症肺炎\n2.I型呼吸衰竭\n3.高血压病2级');
  });

  it('leaves the signature out of the diagnosis and another name out of the name', () => {
    expect(fields.diagnosis).not.toContain('彭医生');
    expect(fields.name).not.toBe('李四');
  });

  it('writes a summary in reading order', () => {
    const summary = summaryOf(fields);
    expect(summary.indexOf('主诉：')).toBe(0);
    expect(summary.indexOf('辅助检查：')).toBeGreaterThan(summary.indexOf('现病史：'));
  });

  it('says nothing that is not contradictory', () => {
    expect(warnings).toEqual([]);
  });
});

describe('other ways of writing', () => {
  it('reads brackets, numbered headings and one line', () => {
    const { fields } = parseRecord('姓名:田禾 性别:男 年龄:45岁 病案号:A-1009\n【主诉】发热3天\n二、现病史：无诱因发热。\n【诊断】肺炎', TODAY);
    expect(fields).toMatchObject({ name: '田禾', gender: 'male', inpatientNo: 'A-1009', chiefComplaint: '发热3天', presentIllness: '无诱因发热。', diagnosis: '肺炎' });
  });

  it('reads a record without labels for sex and age', () => {
    const { fields } = parseRecord('患者姓名：向阳，男，67岁，住院号：889921。\n主诉：胸闷1周。', TODAY);
    expect(fields).toMatchObject({ name: '向阳', gender: 'male', age: '67岁', inpatientNo: '889921' });
  });

  it('keeps the age of an infant in its unit', () => {
    expect(parseRecord('姓名：小满 性别：女 年龄：8个月\n主诉：咳嗽2天', TODAY).fields.age).toBe('8个月');
  });

  it('keeps a corrected diagnosis under the first', () => {
    expect(parseRecord('初步诊断：肺炎\n修正诊断：肺结核', TODAY).fields.diagnosis).toBe('肺炎\n修正诊断：肺结核');
  });

  it('does not take 诊断依据 for the diagnosis', () => {
    expect(parseRecord('初步诊断：肺炎\n诊断依据：发热、CT。', TODAY).fields.diagnosis).toBe('肺炎');
  });
});

describe('what is wrong or missing', () => {
  it('fills nothing from nothing', () => {
    expect(parseRecord('', TODAY)).toEqual({ fields: {}, warnings: [] });
    expect(parseRecord('今天天气很好', TODAY).fields).toEqual({});
  });

  it('tells contradictions between the ID number and the rest', () => {
    const { warnings, fields } = parseRecord('姓名：向阳 性别：女 年龄：30岁 出生日期：1970-01-02\n身份证号：660102196803051211', TODAY);
    expect(warnings).toEqual(expect.arrayContaining(['sex-differs', 'birth-differs', 'age-differs']));
    expect(fields.gender).toBe('female');
  });

  it('checks the last character of an ID number', () => {
    expect(idNumberIsValid('66010219491219002X')).toBe(true);
    expect(idNumberIsValid('660102194912190021')).toBe(false);
  });

  it('refuses dates that do not exist', () => {
    expect(isoDate('2026年2月30日')).toBeUndefined();
    expect(isoDate('2026-2-3')).toBe('2026-02-03');
  });

  it('reads only so much of a very long text', () => {
    const { fields } = parseRecord(`姓名：向阳\n主诉：${'咳 嗽 '.repeat(200_000)}`, TODAY);
    expect(fields.name).toBe('向阳');
    expect((fields.chiefComplaint ?? '').length).toBeLessThanOrEqual(RECORD_CHARACTERS_MAX);
  });
});
