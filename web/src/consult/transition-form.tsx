// The form of any transition, made from the inputs that the server names for it. What the screen already knows (the
// own draft to sign, the studies of the consult, the experts of the invited hospital) is filled in or offered.
import { Checkbox, DatePicker, Form, Input, InputNumber, Radio, Select } from 'antd';
import type { Dayjs } from 'dayjs';
import type { ReactNode } from 'react';
import { useDirectory, type DirectoryPost } from '../directory';
import { siteInstant } from '../format';
import { siteWallClock } from '../parts/wall-clock';
import { type TFunction, useLanguage, useTranslation } from '../i18n';
import { codeOf, idOf } from '../names';
import { useSession } from '../session';
import type { Consult } from './data';
import { studyTitle } from './texts';
import type { InputValue, Suggestion, Transition, TransitionInput } from './transitions';

const IDENTITY_KINDS = ['name', 'inpatient-no', 'birth-date', 'id-number'];
const IDENTITIES_NEEDED = 2;
/** When something was done, not when it will be. */
const PAST_TIMES = new Set(['heard', 'called', 'found']);
const ONE_LINE = new Set(['phone', 'person', 'amount']);
const MAY_BE_EMPTY = new Set(['gap', 'fault']);

type FormValues = Record<string, unknown>;

const targetOf = (input: TransitionInput): string | undefined =>
  input.target ?? { lead: 'PractitionerRole', expert: 'PractitionerRole', study: 'ImagingStudy' }[input.name];

/** References that the screen knows without asking: the own draft, the joint draft. */
export function knownValues(transition: Transition, consult: Consult, ownPost: string): Record<string, InputValue> {
  const values: Record<string, InputValue> = {};
  for (const input of transition.inputs) {
    if (input.type !== 'Reference') continue;
    const target = targetOf(input);
    if (input.name === 'opinion') {
      const own = consult.impressions.find(
        (impression) => impression.status === 'in-progress' && idOf(impression.assessor?.reference) === ownPost,
      );
      values[input.name] = own ? `ClinicalImpression/${own.id ?? ''}` : undefined;
    }
    if (target === 'DiagnosticReport') {
      const own = consult.diagnosis.find((report) => report.status === 'partial' && report.resultsInterpreter?.some((one) => idOf(one.reference) === ownPost));
      values[input.name] = own ? `DiagnosticReport/${own.id ?? ''}` : undefined;
    }
    if (target === 'Composition' || input.name === 'composition') {
      const draft = consult.compositions.find((composition) => composition.status === 'preliminary');
      values[input.name] = draft ? `Composition/${draft.id ?? ''}` : undefined;
    }
  }
  return values;
}

/** From what the kit's fields hold to what a transition takes. */
export function formToValues(transition: Transition, form: FormValues): Record<string, InputValue> {
  const values: Record<string, InputValue> = {};
  for (const input of transition.inputs) {
    const value = form[input.name];
    if (value === undefined || value === null) continue;
    if (input.type === 'dateTime') values[input.name] = siteInstant(value as Dayjs);
    else if (input.repeats && input.type === 'string' && typeof value === 'string') {
      values[input.name] = value.split(/\n+/).map((line) => line.trim()).filter(Boolean);
    } else values[input.name] = value as InputValue;
  }
  return values;
}

/** A study may be named and there is none: nothing to ask. */
const hasNoChoice = (input: TransitionInput, consult: Consult) => !input.required && targetOf(input) === 'ImagingStudy' && consult.studies.length === 0;

interface FieldsProps { transition: Transition; consult: Consult; preset?: Record<string, InputValue> }

export function TransitionFields({ transition, consult, preset }: FieldsProps) {
  const { post } = useSession();
  const known = { ...knownValues(transition, consult, post.id), ...preset };
  const suggestions = transition.inputs.flatMap((input) => input.suggestions);
  return (
    <>
      {transition.inputs
        .filter((input) => known[input.name] === undefined && !hasNoChoice(input, consult))
        .map((input) => <InputField key={input.name} input={targetOf(input) === 'PractitionerRole' ? { ...input, suggestions } : input} consult={consult} />)}
    </>
  );
}

function InputField({ input, consult }: { input: TransitionInput; consult: Consult }) {
  const { t } = useTranslation();
  if (input.type === 'identity') return <IdentityFields input={input} />;
  const initial =
    PAST_TIMES.has(input.name) ? siteWallClock(Date.now()) :
    input.type === 'dateTime' ? siteWallClock(consult.request?.occurrenceDateTime ?? Date.now()) :
    input.name === 'minutes' ? 30 :
    input.name === 'study' && consult.studies.length === 1 ? `ImagingStudy/${consult.studies[0]?.id ?? ''}` : undefined;
  return (
    <Form.Item
      name={input.name}
      label={input.title}
      initialValue={initial}
      extra={input.repeats && input.type === 'string' ? t('transition.onePerLine') : undefined}
      rules={[{ required: input.required && !(MAY_BE_EMPTY.has(input.name) && !input.required), message: t('common.requiredOf', { what: input.title }) }]}
    >
      <Control input={input} consult={consult} />
    </Form.Item>
  );
}

interface ControlProps { input: TransitionInput; consult: Consult; id?: string; value?: unknown; onChange?: (value: unknown) => void }

function Control({ input, consult, ...field }: ControlProps) {
  const props = field as Record<string, never>;
  switch (input.type) {
    case 'password':
      return <Input.Password {...props} autoComplete="current-password" />;
    case 'integer':
      return <InputNumber {...props} min={1} max={input.name === 'minutes' ? 480 : undefined} />;
    case 'dateTime':
      return <DatePicker {...props} showTime={{ format: 'HH:mm', minuteStep: 5 }} format="YYYY-MM-DD HH:mm" allowClear={false} />;
    case 'code':
      return <CodeControl input={input} field={props} />;
    case 'Reference':
      return <ReferenceControl input={input} consult={consult} field={props} />;
    default:
      if (ONE_LINE.has(input.name)) return <Input {...props} inputMode={input.name === 'phone' ? 'tel' : undefined} autoComplete="off" />;
      return <Input.TextArea {...props} autoSize={{ minRows: input.name.includes('reason') ? 2 : 3, maxRows: 12 }} />;
  }
}

function CodeControl({ input, field }: { input: TransitionInput; field: Record<string, never> }) {
  const { t } = useTranslation();
  const options = input.options.map((option) => ({
    value: option.code ?? '',
    label: t(`code.${input.name}.${option.code ?? ''}`, { defaultValue: option.display ?? option.code ?? '' }),
  }));
  if (input.repeats) return <Checkbox.Group {...field} options={options} />;
  if (options.length <= 4) return <Radio.Group {...field} options={options} optionType="button" buttonStyle="solid" />;
  return <Select {...field} options={options} />;
}

function ReferenceControl({ input, consult, field }: { input: TransitionInput; consult: Consult; field: Record<string, never> }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const directory = useDirectory();
  if (targetOf(input) === 'ImagingStudy') {
    const options = consult.studies.map((study) => ({
      value: `ImagingStudy/${study.id ?? ''}`,
      label: studyTitle(study, language),
    }));
    return <Radio.Group {...field} options={options} vertical />;
  }
  const imaging = codeOf(consult.request?.category, 'diagnosis-kind') === 'imaging';
  const roles = consult.machine === 'consult' ? ['expert'] : imaging ? ['radiologist'] : ['radiologist', 'expert'];
  const invited = idOf(consult.request?.performer?.[0]?.reference);
  const rank = (post: DirectoryPost) => input.suggestions.findIndex((one) => one.post === post.id);
  const options = directory.posts
    .filter((post) => roles.includes(post.role) && post.active && post.organizationId === invited)
    .filter((post) => input.suggestions.length === 0 || rank(post) >= 0)
    .sort((a, b) => rank(a) - rank(b))
    .map((post) => {
      const reasons = reasonsOf(input.suggestions[rank(post)], t);
      const name = `${post.name} · ${post.specialty || '—'} · ${post.title ? t(`title.${post.title}`) : '—'}`;
      return { value: `PractitionerRole/${post.id}`, label: name, reasons };
    });
  return (
    <Select {...field} options={options} mode={input.repeats ? 'multiple' : undefined} showSearch optionFilterProp="label"
      optionRender={(option) => <SuggestedPost name={option.label} reasons={(option.data as { reasons: Reason[] }).reasons} />}
      placeholder={t('transition.chooseExpert')} notFoundContent={t('transition.noExpert')} />
  );
}

interface Reason { text: string; good: boolean }

/** Why the server puts a person where he stands in the list. */
function reasonsOf(suggestion: Suggestion | undefined, t: TFunction): Reason[] {
  if (!suggestion) return [];
  return [
    ...(suggestion.asked ? [{ text: t('suggest.asked'), good: false }] : []),
    { text: t(suggestion.specialty ? 'suggest.specialty' : 'suggest.otherSpecialty'), good: suggestion.specialty === 1 },
    { text: t(suggestion.title ? 'suggest.title' : 'suggest.lowTitle'), good: suggestion.title === 1 },
    { text: t(suggestion.duty ? 'suggest.duty' : 'suggest.offDuty'), good: suggestion.duty === 1 },
    { text: t('suggest.running', { n: suggestion.running }), good: suggestion.running === 0 },
  ];
}

function SuggestedPost({ name, reasons }: { name: ReactNode; reasons: Reason[] }) {
  return (
    <div className="suggested">
      <div>{name}</div>
      {reasons.length > 0 ? <div className="suggested-why">{reasons.map((one) => <span key={one.text} className={`badge ${one.good ? 'badge-done' : 'badge-off'}`}>{one.text}</span>)}</div> : null}
    </div>
  );
}

function IdentityFields({ input }: { input: TransitionInput }) {
  const { t } = useTranslation();
  const kinds = (input.options.length > 0 ? input.options.map((option) => option.code ?? '') : IDENTITY_KINDS).map((kind) => ({
    value: kind,
    label: t(`identity.${kind}`, { defaultValue: kind }),
  }));
  return (
    <fieldset className="identity-check">
      <legend>{t('identity.title')}</legend>
      <p className="hint">{t('identity.help')}</p>
      {Array.from({ length: IDENTITIES_NEEDED }, (_, index) => (
        <div className="identity-row" key={index}>
          <Form.Item name={[input.name, index, 'kind']} initialValue={IDENTITY_KINDS[index]} noStyle>
            <Select options={kinds} aria-label={t('identity.kind', { n: index + 1 })} />
          </Form.Item>
          <Form.Item name={[input.name, index, 'value']} rules={[{ required: true, message: t('identity.missing') }]}>
            <Input aria-label={t('identity.value', { n: index + 1 })} autoComplete="off" />
          </Form.Item>
        </div>
      ))}
    </fieldset>
  );
}

