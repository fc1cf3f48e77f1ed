// 远程会诊意见报告 for the paper record: A4, whose it is and page n/m on every sheet, a watermark until it is signed.
import { ArrowLeftOutlined, PrinterOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { useNavigate, useParams } from 'react-router';
import { useConsult } from '../consult/data';
import { genderKey, inpatientNumber, patientName } from '../consult/texts';
import { useDirectory } from '../directory';
import { formatAge, formatTime } from '../format';
import { useLanguage } from '../i18n';
import { identifierOf } from '../names';
import { Loading } from '../parts/loading';
import { usePageTitle } from '../parts/page';
import { Problem } from '../parts/problem';
import { useSession } from '../session';
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
  usePageTitle(t('print.title'));
  const blocks = useMemo(() => (consult ? reportBlocks(consult, directory, t, language) : []), [consult, directory, t, language]);
  if (error) return <div className="page"><Problem error={error} retry={() => void refetch()} /></div>;
  if (!consult) return <Loading />;

  const { patient } = consult;
  const signed = consult.bundles.some((output) => output.kind === 'joint-opinion' || output.kind === 'diagnosis-report');
  const head = (
    <>
      <span><b>{patientName(patient)}</b></span>
      <span>{t(genderKey(patient))}</span>
      <span>{formatAge(patient?.birthDate, language)}</span>
      <span>{t('patient.inpatientNo')} {inpatientNumber(patient) || '—'}</span>
      <span>{t('consult.number')} {identifierOf(consult.request, 'consult') ?? '—'}</span>
    </>
  );
  const foot = t('print.printedBy', { who: session.person.name, time: formatTime(new Date().toISOString(), language) });
  return (
    <main className="print-page">
      <div className="print-bar">
        <Button icon={<ArrowLeftOutlined />} onClick={() => void navigate(`/consults/${taskId ?? ''}`)}>{t('common.back')}</Button>
        <h1 className="visually-hidden">{t('print.title')}</h1>
        <span className="hint">{t(signed ? 'print.signedNote' : 'print.draftNote')}</span>
        <Button type="primary" icon={<PrinterOutlined />} onClick={() => window.print()}>{t('print.do')}</Button>
      </div>
      <Sheets blocks={blocks} head={head} foot={foot} watermark={signed ? undefined : t('print.watermark')} />
    </main>
  );
}
