"""Invented resources in the form in which bodies are stored (src/store/body.h), to train the first compression dictionary:

    tools/dictionary_samples.py FOLDER && zstd --train -r FOLDER --maxdict=32768 --dictID=1 -o src/store/dictionary_1.zdict

The result is in the tree and part of the store's format: bodies written with it name it. A better one later gets a number of
its own; this one is never changed. Everything here is made up from a seed; nobody in it exists."""
import json
import os
import random
import sys
import uuid

r = random.Random(20200211)
SURNAMES = '王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈'
GIVEN = '伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂英华文辉玲红建国春梅志海波鹏宇欣怡晨'
PLACES = ['彭水苗族土家族自治县人民医院', '聊城市人民医院', '酉阳县人民医院', '重庆市黔江区', '山东省聊城市', '支援医疗队', '援助指挥部',
          '呼吸与危重症医学科', '重症医学科', '放射科', '感染科', '急诊科', '检验科', '临床医学部', '第一病区', '隔离病区']
TEXTS = ['患者因发热、咳嗽3天入院，体温38.5℃，伴乏力、气促。', '双肺多发磨玻璃影，以外周及下叶为主，建议结合临床及核酸检测结果。',
         '建议继续氧疗，监测血氧饱和度，必要时行高流量湿化氧疗。', '请会诊协助明确诊断并指导下一步治疗方案。', '既往有高血压病史10年，规律服药，血压控制可。',
         '同意远程会诊，已向患者及家属说明并签署知情同意书。', '复查胸部CT示病灶较前吸收，淋巴细胞计数回升。', '采纳会诊意见，调整抗感染方案，密切观察病情变化。']


def name():
    family = r.choice(SURNAMES)
    given = ''.join(r.choice(GIVEN) for _ in range(r.choice([1, 2, 2])))
    return [{'use': 'official', 'text': family + given, 'family': family, 'given': [given]}]


def coding(system, code, display=None):
    value = {'system': system, 'code': code}
    if display:
        value['display'] = display
    return value


def concept(system, code, display=None, text=None):
    value = {'coding': [coding(system, code, display)]}
    if text:
        value['text'] = text
    return value


def ref(kind, display=None):
    value = {'reference': f'{kind}/{some_id()}'}
    if display:
        value['display'] = display
    return value


def some_id():
    return str(uuid.UUID(int=(0x019 << 116 | r.getrandbits(116)) & ~(0xf << 76) | 7 << 76))


def stamp(zone=True):
    text = f'2020-{r.randint(1, 12):02}-{r.randint(1, 28):02}'
    return text + f'T{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}' + r.choice(['+08:00', '+08:00', '.000Z', 'Z']) \
        if zone else text


def identifier(kind):
    return [{'system': f'urn:shanhai:id:{kind}', 'value': f'{r.randint(0, 10**8):08}'}]


HL7 = 'http://terminology.hl7.org/CodeSystem/'
OURS = 'urn:shanhai:codes:'
UCUM = 'http://unitsofmeasure.org'
LOINC = 'http://loinc.org'
VITALS = [('8310-5', 'Body temperature', 'Cel', '℃'), ('8867-4', 'Heart rate', '/min', '次/分'), ('9279-1', 'Respiratory rate', '/min', '次/分'),
          ('2708-6', 'Oxygen saturation in Arterial blood', '%', '%'), ('8480-6', 'Systolic blood pressure', 'mm[Hg]', 'mmHg'),
          ('8462-4', 'Diastolic blood pressure', 'mm[Hg]', 'mmHg'), ('29463-7', 'Body weight', 'kg', 'kg'), ('6690-2', 'Leukocytes', '10*9/L', '10^9/L')]


def patient():
    return {'identifier': identifier('national') + identifier('inpatient'), 'active': True, 'name': name(),
            'telecom': [{'system': 'phone', 'value': '154' + str(r.randint(10**7, 10**8 - 1)), 'use': 'mobile'}],
            'gender': r.choice(['male', 'female']), 'birthDate': f'{r.randint(1930, 2018)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}',
            'address': [{'use': 'home', 'text': r.choice(PLACES), 'city': r.choice(['彭水县', '聊城市']), 'district': '汉葭街道', 'country': 'CN'}],
            'managingOrganization': ref('Organization', r.choice(PLACES))}


def observation():
    code, title, unit, shown = r.choice(VITALS)
    return {'status': r.choice(['final', 'final', 'preliminary', 'amended']),
            'category': [concept(HL7 + 'observation-category', r.choice(['vital-signs', 'laboratory', 'imaging', 'exam']))],
            'code': concept(LOINC, code, title), 'subject': ref('Patient'), 'encounter': ref('Encounter'), 'effectiveDateTime': stamp(),
            'issued': stamp(), 'performer': [ref('PractitionerRole'), ref('Organization')],
            'valueQuantity': {'value': round(r.uniform(30, 200), 1), 'unit': shown, 'system': UCUM, 'code': unit},
            'interpretation': [concept(HL7 + 'v3-ObservationInterpretation', r.choice(['N', 'H', 'L', 'HH']))],
            'referenceRange': [{'low': {'value': 36.1, 'unit': shown, 'system': UCUM, 'code': unit}, 'high': {'value': 37.2, 'unit': shown}}]}


def ct_observation():
    parts = []
    for code in ['total-volume', 'left-volume', 'right-volume', 'ground-glass', 'consolidation', 'emphysema', 'opacity', 'high-opacity']:
        parts.append({'code': concept(OURS + 'ct-measurement', code),
                      'valueQuantity': {'value': round(r.uniform(0, 5000), 1), 'unit': r.choice(['ml', '%']), 'system': UCUM, 'code': 'mL'}})
    return {'status': 'preliminary', 'category': [concept(HL7 + 'observation-category', 'imaging')], 'code': concept(OURS + 'ct-measurement', 'lung'),
            'subject': ref('Patient'), 'effectiveDateTime': stamp(), 'partOf': [ref('ImagingStudy')], 'device': ref('Device'),
            'derivedFrom': [ref('ImagingStudy')], 'component': parts}


def task():
    return {'identifier': identifier('consult'), 'basedOn': [ref('ServiceRequest')],
            'status': r.choice(['requested', 'received', 'accepted', 'ready', 'in-progress', 'completed', 'on-hold', 'rejected', 'cancelled']),
            'businessStatus': concept(OURS + 'consult', r.choice(['submitted', 'returned', 'allocated', 'offered', 'scheduled', 'in-session', 'signed'])),
            'intent': 'order', 'priority': r.choice(['routine', 'urgent', 'stat']), 'code': concept(OURS + 'workflow', 'consult'),
            'focus': ref('ServiceRequest'), 'for': ref('Patient'), 'encounter': ref('Encounter'), 'authoredOn': stamp(), 'lastModified': stamp(),
            'requester': ref('PractitionerRole'), 'owner': ref('PractitionerRole'),
            'restriction': {'period': {'start': stamp(), 'end': stamp()}},
            'input': [{'type': concept(OURS + 'consult-role', 'lead'), 'valueReference': ref('PractitionerRole')}],
            'output': [{'type': concept(OURS + 'consult-output', 'document'), 'valueReference': ref('Bundle')}]}


def service_request():
    return {'identifier': identifier('consult'), 'status': r.choice(['draft', 'active', 'completed', 'revoked']), 'intent': 'order',
            'category': [concept(OURS + 'consult-kind', r.choice(['consult', 'diagnosis']))], 'priority': r.choice(['routine', 'urgent', 'stat']),
            'code': concept(OURS + 'consult-kind', 'consult', '远程会诊'), 'subject': ref('Patient'), 'encounter': ref('Encounter'), 'authoredOn': stamp(),
            'requester': ref('PractitionerRole'), 'performer': [ref('Organization', r.choice(PLACES))],
            'reasonCode': [{'text': r.choice(TEXTS)}], 'supportingInfo': [ref('ImagingStudy'), ref('QuestionnaireResponse')],
            'note': [{'authorReference': ref('PractitionerRole'), 'time': stamp(), 'text': r.choice(TEXTS)}]}


def provenance():
    return {'target': [{'reference': f'Task/{some_id()}/_history/{r.randint(1, 20)}'}], 'occurredDateTime': stamp(), 'recorded': stamp(),
            'activity': concept(OURS + 'transition', r.choice(['submit', 'accept', 'allocate', 'schedule', 'start', 'sign', 'close'])),
            'reason': [{'text': r.choice(TEXTS)}],
            'agent': [{'type': concept(HL7 + 'provenance-participant-type', 'author'), 'who': ref('PractitionerRole'), 'onBehalfOf': ref('Organization')}]}


def encounter():
    return {'status': r.choice(['in-progress', 'finished', 'planned']), 'class': coding(HL7 + 'v3-ActCode', r.choice(['IMP', 'VR', 'AMB', 'EMER', 'FLD'])),
            'subject': ref('Patient'), 'basedOn': [ref('ServiceRequest')], 'appointment': [ref('Appointment')],
            'participant': [{'type': [concept(HL7 + 'v3-ParticipationType', 'PPRF')], 'period': {'start': stamp(), 'end': stamp()},
                             'individual': ref('PractitionerRole')}],
            'period': {'start': stamp()}, 'location': [{'location': ref('Location', r.choice(PLACES)), 'status': 'active', 'period': {'start': stamp()}}],
            'serviceProvider': ref('Organization', r.choice(PLACES))}


def communication():
    return {'basedOn': [ref('ServiceRequest')], 'status': 'completed', 'category': [concept(OURS + 'message', 'discussion')], 'subject': ref('Patient'),
            'encounter': ref('Encounter'), 'sent': stamp(), 'sender': ref('PractitionerRole'), 'recipient': [ref('PractitionerRole')],
            'payload': [{'contentString': r.choice(TEXTS)}]}


def impression():
    return {'status': r.choice(['in-progress', 'completed']), 'code': concept(OURS + 'opinion-kind', r.choice(['opinion', 'dissent'])),
            'description': r.choice(TEXTS), 'subject': ref('Patient'), 'encounter': ref('Encounter'), 'effectiveDateTime': stamp(), 'date': stamp(),
            'assessor': ref('Practitioner'), 'summary': r.choice(TEXTS), 'finding': [{'itemCodeableConcept': {'text': r.choice(TEXTS)}}]}


def composition():
    return {'status': r.choice(['preliminary', 'final', 'amended']), 'type': concept(OURS + 'document', 'consult-opinion', '远程会诊意见报告'),
            'subject': ref('Patient'), 'encounter': ref('Encounter'), 'date': stamp(), 'author': [ref('PractitionerRole')], 'title': '远程会诊意见报告',
            'attester': [{'mode': 'professional', 'time': stamp(), 'party': ref('PractitionerRole')}], 'custodian': ref('Organization'),
            'section': [{'title': title, 'code': concept(OURS + 'section', code), 'text': {'status': 'generated', 'div':
                         f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{r.choice(TEXTS)}</p></div>'}, 'entry': [ref('ClinicalImpression')]}
                        for title, code in [('病情摘要', 'summary'), ('讨论', 'discussion'), ('意见', 'opinion'), ('建议', 'advice')]]}


def report():
    return {'basedOn': [ref('ServiceRequest')], 'status': r.choice(['preliminary', 'final', 'amended', 'cancelled']),
            'category': [concept('http://terminology.hl7.org/CodeSystem/v2-0074', 'RAD', 'Radiology')], 'code': concept(LOINC, '24627-2', 'CT Chest'),
            'subject': ref('Patient'), 'encounter': ref('Encounter'), 'effectiveDateTime': stamp(), 'issued': stamp(), 'performer': [ref('Organization')],
            'resultsInterpreter': [ref('PractitionerRole')], 'result': [ref('Observation'), ref('Observation')], 'imagingStudy': [ref('ImagingStudy')],
            'conclusion': r.choice(TEXTS)}


def study():
    uid = f'2.25.{r.getrandbits(120)}'
    return {'identifier': [{'system': 'urn:dicom:uid', 'value': 'urn:oid:' + uid}], 'status': 'available',
            'modality': [coding('http://dicom.nema.org/resources/ontology/DCM', 'CT')], 'subject': ref('Patient'), 'started': stamp(),
            'numberOfSeries': 1, 'numberOfInstances': r.randint(20, 400), 'description': '胸部CT平扫',
            'series': [{'uid': f'2.25.{r.getrandbits(120)}', 'number': r.randint(1, 9), 'modality': coding(
                'http://dicom.nema.org/resources/ontology/DCM', 'CT'), 'description': 'Chest 1.25mm', 'numberOfInstances': r.randint(20, 400),
                'bodySite': coding('http://snomed.info/sct', '51185008', 'Chest'), 'started': stamp()}]}


def practitioner_role():
    return {'active': True, 'period': {'start': stamp(False)}, 'practitioner': ref('Practitioner', '王伟'), 'organization': ref('Organization', r.choice(PLACES)),
            'code': [concept(OURS + 'role', r.choice(['county-doctor', 'expert', 'consult-coordinator', 'radiologist', 'commander']))],
            'specialty': [{'text': r.choice(PLACES)}], 'location': [ref('Location')], 'telecom': [{'system': 'phone', 'value': '15400000000'}]}


def practitioner():
    return {'identifier': identifier('staff'), 'active': True, 'name': name(), 'gender': r.choice(['male', 'female']),
            'telecom': [{'system': 'phone', 'value': '154' + str(r.randint(10**7, 10**8 - 1)), 'use': 'work'}],
            'qualification': [{'code': {'text': r.choice(['主任医师', '副主任医师', '主治医师', '护师'])}}]}


def organization():
    return {'identifier': identifier('organization'), 'active': True, 'type': [concept(HL7 + 'organization-type', r.choice(['prov', 'dept', 'govt']))],
            'name': r.choice(PLACES), 'alias': [r.choice(PLACES)], 'partOf': ref('Organization', r.choice(PLACES)),
            'address': [{'text': r.choice(PLACES), 'city': '聊城市', 'state': '山东省', 'country': 'CN'}]}


def location():
    return {'identifier': [{'system': 'urn:oid:1.2.156.2260', 'value': f'{r.randint(100000, 999999)}'}], 'status': 'active', 'name': r.choice(PLACES),
            'mode': 'instance', 'physicalType': concept(HL7 + 'location-physical-type', r.choice(['bd', 'ro', 'wa', 'area', 'jdn'])),
            'managingOrganization': ref('Organization'), 'partOf': ref('Location')}


def condition():
    return {'clinicalStatus': concept(HL7 + 'condition-clinical', r.choice(['active', 'resolved'])),
            'verificationStatus': concept(HL7 + 'condition-ver-status', r.choice(['confirmed', 'provisional', 'refuted'])),
            'category': [concept(HL7 + 'condition-category', 'encounter-diagnosis')], 'severity': concept(OURS + 'severity', r.choice(['mild', 'severe'])),
            'code': {'coding': [coding('http://hl7.org/fhir/sid/icd-10', 'J12.8')], 'text': r.choice(['病毒性肺炎', '社区获得性肺炎', '高血压'])},
            'subject': ref('Patient'), 'encounter': ref('Encounter'), 'onsetDateTime': stamp(False), 'recordedDate': stamp(), 'recorder': ref('PractitionerRole')}


def answers():
    return {'questionnaire': 'urn:shanhai:questionnaire:' + r.choice(['consult-feedback|1', 'daily-check|1', 'exit-screening|1']), 'status': 'completed',
            'subject': ref('Patient'), 'encounter': ref('Encounter'), 'authored': stamp(), 'author': ref('PractitionerRole'),
            'item': [{'linkId': f'{i + 1}', 'text': r.choice(['体温', '症状', '是否采纳', '转归', '备注']), 'answer': [r.choice(
                [{'valueBoolean': True}, {'valueString': r.choice(TEXTS)}, {'valueDecimal': 36.5}, {'valueCoding': coding(OURS + 'feedback-outcome', 'better')}])]}
                for i in range(r.randint(2, 8))]}


def appointment():
    return {'status': r.choice(['booked', 'fulfilled', 'proposed', 'cancelled']), 'basedOn': [ref('ServiceRequest')], 'start': stamp(), 'end': stamp(),
            'created': stamp(), 'minutesDuration': 30, 'participant': [{'actor': ref('PractitionerRole'), 'required': 'required', 'status': 'accepted'},
                                                                        {'actor': ref('Patient'), 'status': 'needs-action'}]}


def consent():
    return {'status': 'active', 'scope': concept(HL7 + 'consentscope', 'treatment'), 'category': [concept(OURS + 'consent-kind', 'consult')],
            'patient': ref('Patient'), 'dateTime': stamp(), 'performer': [ref('Patient')], 'organization': [ref('Organization')],
            'policyRule': concept(HL7 + 'v3-ActCode', 'OPTIN'), 'provision': {'type': 'permit', 'data': [{'meaning': 'related', 'reference': ref('ServiceRequest')}]}}


def supply():
    return {'identifier': identifier('lot'), 'partOf': [ref('SupplyDelivery')], 'status': 'completed', 'type': concept(OURS + 'movement', r.choice(['receipt', 'issue'])),
            'suppliedItem': {'quantity': {'value': r.randint(1, 9000), 'unit': '件', 'system': UCUM, 'code': '{piece}'}, 'itemCodeableConcept': {'text': '医用防护服'}},
            'occurrenceDateTime': stamp(), 'supplier': ref('Organization'), 'destination': ref('Location'), 'receiver': [ref('PractitionerRole')]}


MAKERS = [patient, observation, observation, observation, ct_observation, task, task, service_request, provenance, provenance, encounter, communication,
          impression, composition, report, study, practitioner_role, practitioner, organization, location, condition, answers, appointment, consent, supply]


def tail(resource):
    meta = '' if r.random() < 0.85 else ',"profile":["http://hl7.org/fhir/StructureDefinition/' + r.choice(['vitalsigns', 'bp']) + '"]'
    return meta + '},' + json.dumps(resource, ensure_ascii=False, separators=(',', ':'))[1:]


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for number in range(6000):
        with open(os.path.join(folder, f'{number:05}'), 'w', encoding='utf-8') as out:
            out.write(tail(MAKERS[number % len(MAKERS)]()))


if __name__ == '__main__':
    main()
