// ① The record pasted on the left, what was found in it on the right: a person looks at both and confirms.
import { CheckCircleFilled, WarningOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Alert, Button, Checkbox, Input, Radio } from 'antd';
import { useState } from 'react';
import { resourcesOf, search } from '../fhir';
import type { Patient } from '../fhir-types';
import { formatAge, siteToday } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { identifierSystem } from '../names';
import { parseRecord, summaryOf, type RecordField, type RecordWarning } from './record-parser';
import type { SectionProps } from './request-page';
import type { RequestDraft } from './model';

type IdentityField = 'name' | 'birthDate' | 'inpatientNo' | 'idNumber' | 'phone';

export function RecordSection({ draft, change, fixedPatient }: SectionProps & { fixedPatient: boolean }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const [found, setFound] = useState<RecordField[]>([]);
  const [warnings, setWarnings] = useState<RecordWarning[]>([]);

  const recognise = (text: string) => {
    const { fields, warnings: told } = parseRecord(text, siteToday());
    setFound(Object.keys(fields) as RecordField[]);
    setWarnings(told);
    const identity: Partial<RequestDraft> = fixedPatient ? {} : {
      name: fields.name ?? draft.name,
      gender: fields.gender ?? draft.gender,
      birthDate: fields.birthDate ?? draft.birthDate,
      inpatientNo: fields.inpatientNo ?? draft.inpatientNo,
      idNumber: fields.idNumber ?? draft.idNumber,
      phone: fields.phone ?? draft.phone,
      identityConfirmed: false,
    };
    change({ ...identity, recordText: text, diagnosis: fields.diagnosis ?? draft.diagnosis, summary: summaryOf(fields) || draft.summary });
  };
  const edit = (part: Partial<RequestDraft>) => change({ ...part, identityConfirmed: false });
  const line = (name: IdentityField, props: { type?: string; wide?: boolean } = {}) => (
    <label className={`field ${props.wide ? 'field-wide' : ''}`}>
      <span className="field-label">{t(`patient.${name}`)} {found.includes(name) ? <Found /> : null}</span>
      <Input value={draft[name]} type={props.type} disabled={fixedPatient} data-field={name} autoComplete="off"
        onChange={(event) => edit({ [name]: event.target.value } as Partial<RequestDraft>)} />
    </label>
  );

  return (
    <section className="panel request-section" aria-labelledby="section-record">
      <h2 id="section-record"><span className="step-number">1</span>{t('request.record')}</h2>
      <div className="record-grid">
        <div className="record-paste">
          <label className="field">
            <span className="field-label">{t('request.paste')}</span>
            <Input.TextArea value={draft.recordText} rows={18} placeholder={t('request.pastePlaceholder')} data-field="record"
              onPaste={(event) => {
                const text = event.clipboardData.getData('text');
                if (draft.recordText === '' && text) {
                  event.preventDefault();
                  recognise(text);
                }
              }}
              onChange={(event) => change({ recordText: event.target.value })} />
          </label>
          <div className="record-actions">
            <Button disabled={draft.recordText.trim() === ''} onClick={() => recognise(draft.recordText)}>{t('request.recognise')}</Button>
            {found.length > 0 ? <span className="hint" role="status">{t('request.found', { n: found.length })}</span> : null}
          </div>
        </div>
        <div className="record-found">
          {warnings.length > 0 ? (
            <Alert type="warning" showIcon icon={<WarningOutlined />} title={t('request.contradiction')}
              description={<ul className="plain-list">{warnings.map((warning) => <li key={warning}>{t(`recordWarning.${warning}`)}</li>)}</ul>} />
          ) : null}
          <div className="field-grid">
            {line('name')}
            <div className="field" role="group" aria-label={t('patient.gender')}>
              <span className="field-label">{t('patient.gender')} {found.includes('gender') ? <Found /> : null}</span>
              <Radio.Group value={draft.gender} disabled={fixedPatient} optionType="button" onChange={(event) => edit({ gender: event.target.value as string })}
                options={['male', 'female'].map((value) => ({ value, label: t(`gender.${value}`) }))} />
            </div>
            {line('birthDate', { type: 'date' })}
            <div className="field"><span className="field-label">{t('patient.age')}</span><span className="field-text">{formatAge(draft.birthDate, language) || '—'}</span></div>
            {line('inpatientNo')}
            {line('idNumber')}
            {line('phone')}
          </div>
          {fixedPatient ? null : <PatientMatch draft={draft} change={change} />}
          <Checkbox checked={draft.identityConfirmed} disabled={fixedPatient} data-field="identityConfirmed" onChange={(event) => change({ identityConfirmed: event.target.checked })}>
            {t('request.confirmIdentity')}
          </Checkbox>
          <label className="field">
            <span className="field-label">{t('patient.diagnosis')} {found.includes('diagnosis') ? <Found /> : null}</span>
            <Input.TextArea value={draft.diagnosis} autoSize={{ minRows: 2, maxRows: 6 }} disabled={fixedPatient} onChange={(event) => change({ diagnosis: event.target.value })} />
            <Radio.Group className="severity-choice" size="small" value={draft.severity} disabled={fixedPatient || draft.diagnosis.trim() === ''} optionType="button" aria-label={t('round.severity')}
              onChange={(event) => change({ severity: event.target.value as string })}
              options={[{ value: '', label: t('code.severity.none') }, ...['severe', 'critical'].map((value) => ({ value, label: t(`code.severity.${value}`) }))]} />
          </label>
          <label className="field">
            <span className="field-label">{t('consult.summary')} {found.includes('presentIllness') ? <Found /> : null}</span>
            <Input.TextArea value={draft.summary} autoSize={{ minRows: 5, maxRows: 14 }} data-field="summary" placeholder={t('request.summaryPlaceholder')}
              onChange={(event) => change({ summary: event.target.value })} />
          </label>
          <Checkbox checked={draft.shareRecord} disabled={fixedPatient} onChange={(event) => change({ shareRecord: event.target.checked })}>{t('request.shareRecord')}</Checkbox>
        </div>
      </div>
    </section>
  );
}

function Found() {
  const { t } = useTranslation();
  return <span className="found"><CheckCircleFilled aria-hidden /> {t('request.fieldFound')}</span>;
}

/** Somebody with this number is here already: the same person, or a number typed wrong. A person decides. */
function PatientMatch({ draft, change }: SectionProps) {
  const { t } = useTranslation();
  const language = useLanguage();
  const tokens = [
    draft.inpatientNo.trim() ? `${identifierSystem('inpatient')}|${draft.inpatientNo.trim()}` : '',
    draft.idNumber.trim().length === 18 ? `${identifierSystem('national')}|${draft.idNumber.trim().toUpperCase()}` : '',
  ].filter(Boolean);
  const { data } = useQuery({
    queryKey: ['list', 'Patient', tokens],
    queryFn: async ({ signal }) => resourcesOf<Patient>(await search('Patient', { identifier: tokens.join(','), _count: 5 }, signal), 'Patient'),
    enabled: tokens.length > 0,
  });
  if (!data || data.length === 0) return draft.patientId ? null : <p className="hint">{tokens.length > 0 ? t('request.newPatient') : ''}</p>;
  return (
    <div className="matches">
      {data.map((patient) => {
        const name = patient.name?.[0]?.text ?? '';
        const same = name === draft.name && patient.gender === draft.gender && patient.birthDate === draft.birthDate;
        const chosen = draft.patientId === patient.id;
        return (
          <Alert key={patient.id} type={chosen ? 'success' : same ? 'info' : 'warning'} showIcon
            title={t(chosen ? 'request.patientChosen' : same ? 'request.patientKnown' : 'request.patientDiffers')}
            description={`${name} ${t(`gender.${patient.gender ?? 'unknown'}`)} ${formatAge(patient.birthDate, language)} ${patient.birthDate ?? ''}`}
            action={chosen ? undefined : (
              <Button size="small" onClick={() => change({
                patientId: patient.id, name, gender: patient.gender ?? '', birthDate: patient.birthDate ?? '', identityConfirmed: false,
              })}>
                {t('request.usePatient')}
              </Button>
            )} />
        );
      })}
    </div>
  );
}
