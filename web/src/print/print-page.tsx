// 远程会诊意见报告 for paper: A4, whose it is and page n/m on every sheet, a watermark until it is signed; a signed one is
// recorded before it is printed, and carries the copy's number and a QR code that anyone may check.
import { ArrowLeftOutlined, PrinterOutlined } from '@ant-design/icons';
import { Button, Radio } from 'antd';
import { useEffect, useMemo, useState } from 'react';
import { useNavigate, useParams } from 'react-router';
import { useConsult } from '../consult/data';
import { genderKey, inpatientNumber, patientName } from '../consult/texts';
import { useTransitions } from '../consult/transitions';
import { useDirectory } from '../directory';
import { formatAge, formatTime } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import { identifierOf } from '../names';
import { Loading } from '../parts/loading';
import { usePageTitle } from '../parts/page';
import { Problem } from '../parts/problem';
import { useSession } from '../session';
import { copiesOf, useRecordPrint, type Variant } from './copies';
import { patientBlocks } from './patient-blocks';
import { reportBlocks } from './report-blocks';
import { Sheets } from './sheets';

export default function PrintPage() {
  const { t } = useTranslation();
  const language = useLanguage();
  const navigate = useNavigate();
  const session = useSession();
  const directory = useDirectory();
  const { taskId } = useParams();
  const { data: consult, error, refetch } = useConsult(taskId);
  const { data: transitions = [] } = useTransitions(consult?.task, language);
  const [variant, setVariant] = useState<Variant>('record');
  const [copy, setCopy] = useState<number>();
  const [pages, setPages] = useState(1);
  const record = useRecordPrint(consult, session.post.id);
  usePageTitle(t('print.title'));
  const blocks = useMemo(() => {
    if (!consult) return [];
    const parts = { consult, directory, t, language, copy };
    return variant === 'patient' ? patientBlocks(parts) : reportBlocks(parts);
  }, [consult, directory, t, language, variant, copy]);

  // The sheet with its number first, then the browser's dialog; afterwards the next copy has no number yet.
  useEffect(() => {
    if (copy === undefined) return undefined;
    const timer = window.setTimeout(() => window.print(), 300);
    const done = () => setCopy(undefined);
    window.addEventListener('afterprint', done);
    return () => {
      window.clearTimeout(timer);
      window.removeEventListener('afterprint', done);
    };
  }, [copy]);

  if (error) return <div className="page"><Problem error={error} retry={() => void refetch()} /></div>;
  if (!consult) return <Loading />;

  const { patient } = consult;
  const signed = consult.bundles.some((output) => output.kind === 'joint-opinion' || output.kind === 'diagnosis-report');
  const counted = consult.bundles.some((output) => output.kind === 'joint-opinion');
  const step = transitions.find((one) => one.name === 'print');
  const decided = consult.bundles.some((output) => output.kind === 'decision') && session.post.role === 'county-doctor';
  const printed = copiesOf(consult).length;
  const print = () => {
    if (!counted) window.print();
    else record.mutate({ variant, pages }, { onSuccess: setCopy });
  };
  const head = (
    <>
      <span><b>{patientName(patient)}</b></span>
      <span>{t(genderKey(patient))}</span>
      <span>{formatAge(patient?.birthDate, language)}</span>
      <span>{t('patient.inpatientNo')} {inpatientNumber(patient) || '—'}</span>
      <span>{t('consult.number')} {identifierOf(consult.request, 'consult') ?? '—'}</span>
    </>
  );
  const by = t('print.printedBy', { who: session.person.name, time: formatTime(new Date().toISOString(), language) });
  const foot = counted ? `${t(`print.variant.${variant}`)} · ${copy ? t('print.copyNo', { n: copy }) : t('print.copyNext')} · ${by}` : by;
  return (
    <main className="print-page">
      <div className="print-bar">
        <Button icon={<ArrowLeftOutlined />} onClick={() => void navigate(`/consults/${taskId ?? ''}`)}>{t('common.back')}</Button>
        <h1 className="visually-hidden">{t('print.title')}</h1>
        {counted ? (
          <Radio.Group value={variant} onChange={(event) => setVariant(event.target.value as Variant)} optionType="button" aria-label={t('print.variantLabel')}
            options={(['record', 'patient'] as const).map((one) => ({ value: one, label: t(`print.variant.${one}`), disabled: one === 'patient' && !decided }))} />
        ) : null}
        <span className="hint">{counted ? t('print.signedNote', { n: printed }) : t(signed ? 'print.signedPlain' : 'print.draftNote')}</span>
        <Button type="primary" icon={<PrinterOutlined />} loading={record.isPending} disabled={counted && !step?.allowed} title={step?.reasons.join(t('common.semicolon'))}
          data-action="print" onClick={print}>{t('print.do')}</Button>
      </div>
      {record.error ? <Problem error={record.error} /> : null}
      <Sheets blocks={blocks} head={head} foot={foot} watermark={signed ? undefined : t('print.watermark')} onPages={setPages} />
    </main>
  );
}
