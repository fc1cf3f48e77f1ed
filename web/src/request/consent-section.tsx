// ④ Consent: the signed form as a picture or PDF; without it only the emergency path, which the duty head opens.
import { FileImageOutlined, PhoneOutlined, UploadOutlined } from '@ant-design/icons';
import { Alert, Button, Input, Radio, Select } from 'antd';
import { useRef, useState } from 'react';
import type { Consult } from '../consult/data';
import { useDirectory } from '../directory';
import type { Attachment } from '../fhir-types';
import { formatBytes } from '../format';
import { useTranslation } from '../i18n';
import { codeOf } from '../names';
import { useSession } from '../session';
import { base64Of } from './model';
import { smallerPicture } from '../parts/picture';
import type { SectionProps } from './request-page';

const PAYERS = ['waived', 'patient', 'insurance', 'project-fund'];
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const PICTURE_SIDE_MAX = 1800;

/** A phone's photo is made small enough for a weak line, still readable on A4. */
async function readConsentFile(file: File): Promise<Attachment | 'large'> {
  if (!file.type.startsWith('image/')) {
    if (file.size > FILE_BYTES_MAX) return 'large';
    return { contentType: file.type || 'application/pdf', title: file.name, data: base64Of(new Uint8Array(await file.arrayBuffer())) };
  }
  const blob = await smallerPicture(file, PICTURE_SIDE_MAX, 0.8);
  if (!blob) return 'large';
  return { contentType: 'image/jpeg', title: file.name, data: base64Of(new Uint8Array(await blob.arrayBuffer())) };
}

export function ConsentSection({ draft, change, consult }: SectionProps & { consult: Consult | undefined }) {
  const { t } = useTranslation();
  const present = (consult?.consents ?? []).find((consent) => consent.status === 'active');
  return (
    <section className="panel request-section" aria-labelledby="section-consent">
      <h2 id="section-consent"><span className="step-number">4</span>{t('request.consent')}</h2>
      {present ? (
        <Alert type="success" showIcon title={t(codeOf(present.category, 'consent-kind') === 'emergency' ? 'request.emergencyApproved' : 'request.consentPresent')} />
      ) : (
        <>
          <Radio.Group value={draft.consentKind} onChange={(event) => change({ consentKind: event.target.value as RequestDraftKind })}
            options={[
              { value: 'signed', label: t('request.consentSigned') },
              { value: 'emergency', label: t('request.consentEmergency'), disabled: draft.urgency !== 'stat' },
            ]} />
          {draft.consentKind === 'signed' ? <SignedConsent draft={draft} change={change} /> : <EmergencyPath />}
        </>
      )}
    </section>
  );
}

type RequestDraftKind = 'signed' | 'emergency';

function SignedConsent({ draft, change }: SectionProps) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const [tooLarge, setTooLarge] = useState(false);
  const take = async (file: File | undefined) => {
    if (!file) return;
    const attachment = await readConsentFile(file).catch((): 'large' => 'large');
    setTooLarge(attachment === 'large');
    if (attachment !== 'large') change({ consentFile: attachment });
  };
  return (
    <div className="field-grid field-grid-3">
      <div className="field">
        <span className="field-label">{t('request.consentFile')}</span>
        <Button icon={<UploadOutlined />} onClick={() => input.current?.click()}>{t(draft.consentFile ? 'request.replaceFile' : 'request.chooseFile')}</Button>
        <input ref={input} type="file" hidden accept="image/*,application/pdf" aria-label={t('request.consentFile')} data-field="consentFile"
          onChange={(event) => void take(event.target.files?.[0])} />
        {draft.consentFile ? (
          <span className="hint"><FileImageOutlined aria-hidden /> {draft.consentFile.title} · {formatBytes(((draft.consentFile.data ?? '').length * 3) / 4)}</span>
        ) : <span className="hint">{t('request.consentFileHelp')}</span>}
        {tooLarge ? <Alert type="error" showIcon title={t('request.fileLarge')} /> : null}
      </div>
      <label className="field">
        <span className="field-label">{t('request.signer')}</span>
        <Input value={draft.consentSigner} placeholder={t('request.signerPlaceholder')} data-field="consentSigner" onChange={(event) => change({ consentSigner: event.target.value })} />
      </label>
      <div className="field">
        <label className="field-label" htmlFor="consent-payer">{t('request.payer')}</label>
        <Select id="consent-payer" value={draft.payer} onChange={(payer: string) => change({ payer })} options={PAYERS.map((value) => ({ value, label: t(`payer.${value}`) }))} />
      </div>
    </div>
  );
}

function EmergencyPath() {
  const { t } = useTranslation();
  const { person, post } = useSession();
  const heads = useDirectory().posts.filter((one) => one.role === 'duty-head' && one.active && one.organizationId === post.organization.id && one.practitionerId !== person.id);
  return (
    <Alert type="warning" showIcon title={t('request.emergencyTitle')} description={
      <>
        <p>{t('request.emergencyHelp')}</p>
        {heads.map((head) => (
          <p key={head.id}><PhoneOutlined aria-hidden /> {head.name} {head.phone ? <a href={`tel:${head.phone}`}>{head.phone}</a> : null}</p>
        ))}
      </>
    } />
  );
}
