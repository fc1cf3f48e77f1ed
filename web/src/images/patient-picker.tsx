// Finds a patient of the own hospital by name or number.
import { useQuery } from '@tanstack/react-query';
import { Select } from 'antd';
import { useState } from 'react';
import { genderKey, inpatientNumber, patientName } from '../consult/texts';
import { resourcesOf, search } from '../fhir';
import type { Patient } from '../fhir-types';
import { formatAge } from '../format';
import { useLanguage, useTranslation } from '../i18n';

export function PatientPicker({ onPick }: { onPick: (id: string) => void }) {
  const { t } = useTranslation();
  const language = useLanguage();
  const [text, setText] = useState('');
  const byNumber = /^[A-Za-z0-9-]{3,}$/.test(text);
  const { data, isFetching } = useQuery({
    queryKey: ['list', 'Patient', 'pick', text],
    queryFn: async ({ signal }) =>
      resourcesOf<Patient>(await search('Patient', { ...(byNumber ? { identifier: text } : text ? { name: text } : {}), _count: 20 }, signal), 'Patient'),
    placeholderData: (previous) => previous,
  });
  return (
    <Select showSearch filterOption={false} className="patient-picker" placeholder={t('held.pick')} aria-label={t('held.pick')} loading={isFetching}
      onSearch={setText} onChange={(id: string) => onPick(id)} notFoundContent={t('held.pickNone')}
      options={(data ?? []).map((patient) => ({
        value: patient.id ?? '',
        label: [patientName(patient), t(genderKey(patient)), formatAge(patient.birthDate, language), inpatientNumber(patient)].filter(Boolean).join(' · '),
      }))} />
  );
}
