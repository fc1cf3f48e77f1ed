// Whose record this is: in every dialog that changes something.
import { UserOutlined } from '@ant-design/icons';
import { formatAge } from '../format';
import { useLanguage, useTranslation } from '../i18n';
import type { Consult } from './data';
import { genderKey, inpatientNumber, patientName } from './texts';

export function PatientLine({ consult, strong = false }: { consult: Pick<Consult, 'patient'>; strong?: boolean }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const { patient } = consult;
  return (
    <p className={`patient-line ${strong ? 'patient-line-strong' : ''}`}>
      <UserOutlined aria-hidden /> <strong>{patientName(patient) || t('patient.unnamed')}</strong>
      <span>{t(genderKey(patient))}</span>
      <span>{formatAge(patient?.birthDate, language)}</span>
      {inpatientNumber(patient) ? <span>{t('patient.inpatientNo')} {inpatientNumber(patient)}</span> : null}
    </p>
  );
}
