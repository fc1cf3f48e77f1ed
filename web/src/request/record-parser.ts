// Reads a pasted 入院记录: finds the fields that a consult request needs and where each was found. It never guesses: what
// is not written is not filled, and what contradicts itself is told. A person confirms every field.

export const FIELDS = [
  'name', 'gender', 'age', 'birthDate', 'inpatientNo', 'idNumber', 'phone', 'department', 'bed', 'admittedOn',
  'chiefComplaint', 'presentIllness', 'pastHistory', 'exam', 'tests', 'diagnosis',
] as const;
export type RecordField = (typeof FIELDS)[number];

export type RecordWarning = 'id-check' | 'sex-differs' | 'birth-differs' | 'age-differs';

export interface ParsedRecord {
  fields: Partial<Record<RecordField, string>>;
  warnings: RecordWarning[];
}

/** A limit on what is read, so that a whole book pasted by mistake does not stop the browser. */
export const RECORD_CHARACTERS_MAX = 60_000;

/** Headings of the long parts, with the words that hospitals use for them. `undefined` ends a part and is not kept. */
const HEADINGS: [RecordField | undefined, string[]][] = [
  ['chiefComplaint', ['主诉']],
  ['presentIllness', ['现病史', '病史摘要', '现病史摘要']],
  ['pastHistory', ['既往史', '过去史', '既往病史']],
  ['exam', ['体格检查', '查体', '入院查体', '专科检查', '专科情况']],
  ['tests', ['辅助检查', '实验室检查', '实验室及辅助检查', '检查结果', '影像学检查']],
  ['diagnosis', ['初步诊断', '入院诊断', '诊断', '目前诊断', '修正诊断']],
  [undefined, [
    '个人史', '婚育史', '婚姻史', '月经史', '生育史', '家族史', '系统回顾', '流行病学史', '诊疗计划', '诊疗经过', '病例特点', '鉴别诊断',
    '诊断依据', '医师签名', '医生签名', '签名', '记录日期', '记录时间', '记录者', '上级医师', '病史陈述者', '供史者', '可靠程度',
  ]],
];

const spaced = (word: string) => [...word].join('[ \\t]*');
const WORDS = HEADINGS.flatMap(([field, words]) => words.map((word) => ({ field, word })));
// Longer words first, so that 初步诊断 is not read as 诊断.
WORDS.sort((a, b) => b.word.length - a.word.length);
const HEADING = new RegExp(
  `(?:^|[\\n。；;!！ \\t])[ \\t]*(?:[一二三四五六七八九十]+、|\\d+[.、])?[【\\[]?(${WORDS.map(({ word }) => spaced(word)).join('|')})(?:[】\\]]?[ \\t]*[:：]|[】\\]])`,
  'g',
);

/** Full-width letters, digits and colons to half width; odd spaces to plain ones. Lengths stay the same. */
export function normalise(text: string): string {
  return text
    .slice(0, RECORD_CHARACTERS_MAX)
    .replace(/\r\n?/g, '\n')
    .replace(/[\uFF10-\uFF19\uFF21-\uFF3A\uFF41-\uFF5A]/g, (character) => String.fromCharCode(character.charCodeAt(0) - 0xfee0))
    .replace(/[\u3000\u00A0]/g, ' ')
    .replace(/[\u200B\uFEFF]/g, '');
}

function sections(text: string): Partial<Record<RecordField, string>> {
  const marks = [...text.matchAll(HEADING)].map((match) => {
    const word = (match[1] ?? '').replace(/[ \t]/g, '');
    return {
      field: WORDS.find((entry) => entry.word === word)?.field,
      word,
      start: match.index,
      end: match.index + match[0].length,
    };
  });
  const found: Partial<Record<RecordField, string>> = {};
  marks.forEach((mark, index) => {
    if (!mark.field) return;
    const body = tidy(text.slice(mark.end, marks[index + 1]?.start ?? text.length));
    if (!body) return;
    const before = found[mark.field];
    // 体格检查 and 专科检查 are one field; a second diagnosis (修正诊断) stands under the first with its heading.
    found[mark.field] = before ? `${before}\n${mark.word}：${body}` : body;
  });
  return found;
}

function tidy(text: string): string {
  return text
    .split('\n')
    .map((line) => line.replace(/[ \t]+/g, ' ').trim())
    .filter(Boolean)
    .join('\n')
    .replace(/^[:：\s]+/, '')
    .trim();
}

/** "label: value" in the head of the record; the value ends at a gap or where the next label begins. */
function labelled(text: string, labels: string[], value: string): string | undefined {
  for (const label of labels) {
    const match = new RegExp(`${spaced(label)}[ \\t]*[:：][ \\t]*(${value})`).exec(text);
    if (match?.[1]) return match[1].trim();
  }
  return undefined;
}

const NAME = '[\\u4e00-\\u9fff·]{2,20}?(?=[ \\t]|\\n|$|[,，;；。]|性[ \\t]*别|年[ \\t]*龄|男|女|出生)';
const NUMBER = '[A-Za-z0-9-]{3,24}';
const ID_NUMBER = /(?<!\d)([1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx])(?![\dXx])/;
const DATE = '(\\d{4})[年./-][ ]?(\\d{1,2})[月./-][ ]?(\\d{1,2})日?';

export function isoDate(text: string | undefined): string | undefined {
  const match = new RegExp(DATE).exec(text ?? '');
  if (!match) return undefined;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const date = new Date(Date.UTC(year, month - 1, day));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  return date.toISOString().slice(0, 10);
}

/** GB 11643: the last character checks the seventeen before it. */
export function idNumberIsValid(idNumber: string): boolean {
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
  const sum = weights.reduce((total, weight, index) => total + weight * Number(idNumber[index]), 0);
  return '10X98765432'[sum % 11] === idNumber[17]?.toUpperCase();
}

function genderOf(text: string): string | undefined {
  const word = labelled(text, ['性别'], '[男女]') ?? /(?:^|[\s,，])(男|女)(?:性)?[\s,，、]*\d{1,3} ?岁/.exec(text)?.[1];
  return word === '男' ? 'male' : word === '女' ? 'female' : undefined;
}

function ageOf(text: string): string | undefined {
  const match = /年[ \t]*龄[ \t]*[:：][ \t]*(\d{1,3})[ \t]*(岁|个?月|天)?/.exec(text) ?? /(?:男|女)性?[\s,，、]*(\d{1,3}) ?(岁)/.exec(text);
  if (!match?.[1]) return undefined;
  return `${Number(match[1])}${match[2] ?? '岁'}`;
}

function check(fields: ParsedRecord['fields'], today: string): RecordWarning[] {
  const warnings: RecordWarning[] = [];
  const id = fields.idNumber;
  if (id) {
    if (!idNumberIsValid(id)) warnings.push('id-check');
    const born = `${id.slice(6, 10)}-${id.slice(10, 12)}-${id.slice(12, 14)}`;
    const sex = Number(id[16]) % 2 === 1 ? 'male' : 'female';
    if (fields.birthDate && fields.birthDate !== born) warnings.push('birth-differs');
    if (fields.gender && fields.gender !== sex) warnings.push('sex-differs');
    fields.birthDate ??= isoDate(born);
    fields.gender ??= sex;
  }
  const years = /^(\d+)岁$/.exec(fields.age ?? '')?.[1];
  if (years && fields.birthDate) {
    const grown = Number(today.slice(0, 4)) - Number(fields.birthDate.slice(0, 4)) - (today.slice(5) < fields.birthDate.slice(5) ? 1 : 0);
    // Age by the calendar (虚岁) is one more than that by the birthday: no contradiction.
    if (Math.abs(grown - Number(years)) > 1) warnings.push('age-differs');
  }
  return warnings;
}

export function parseRecord(input: string, today: string = new Date().toISOString().slice(0, 10)): ParsedRecord {
  const text = normalise(input);
  const firstHeading = text.search(HEADING);
  // Names and numbers stand before the first long part; a name inside 现病史 is somebody else's.
  const head = firstHeading > 0 ? text.slice(0, firstHeading) : text;
  const parts = sections(text);
  const found: Partial<Record<RecordField, string | undefined>> = {
    name: labelled(head, ['患者姓名', '病人姓名', '姓名'], NAME),
    gender: genderOf(head),
    age: ageOf(head),
    birthDate: isoDate(labelled(head, ['出生日期', '出生年月日', '出生年月', '生日'], DATE)),
    inpatientNo: labelled(head, ['住院号', '住院病历号', '病案号', '住院号码', '登记号'], NUMBER),
    idNumber: ID_NUMBER.exec(head)?.[1]?.toUpperCase() ?? ID_NUMBER.exec(text)?.[1]?.toUpperCase(),
    phone: labelled(head, ['联系电话', '电话', '手机', '手机号', '联系方式'], '1\\d{10}|0\\d{2,3}-?\\d{7,8}'),
    department: labelled(head, ['科室', '科别', '所在科室', '入院科室'], '[\\u4e00-\\u9fffA-Za-z（）()]{2,16}'),
    bed: labelled(head, ['床号', '床位'], '[+A-Za-z0-9-]{1,8}'),
    admittedOn: isoDate(labelled(head, ['入院日期', '入院时间'], DATE)),
    ...parts,
  };
  const fields: ParsedRecord['fields'] = {};
  for (const field of FIELDS) {
    const value = found[field]?.trim();
    if (value) fields[field] = value;
  }
  return { warnings: check(fields, today), fields };
}

const SUMMARY_PARTS: [RecordField, string][] = [
  ['chiefComplaint', '主诉'], ['presentIllness', '现病史'], ['pastHistory', '既往史'], ['exam', '查体'], ['tests', '辅助检查'], ['diagnosis', '初步诊断'],
];

/** The summary that goes with the invitation, in the order in which a doctor reads. */
export function summaryOf(fields: ParsedRecord['fields']): string {
  return SUMMARY_PARTS.filter(([field]) => fields[field]).map(([field, title]) => `${title}：${fields[field] ?? ''}`).join('\n');
}
